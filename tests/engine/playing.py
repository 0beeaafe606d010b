"""Play a scenario in memory: every module is a function, every commit is a list entry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from millrace.engine import Interpreter, Limits, ModuleTraits, ParameterTraits, Plan, Start
from millrace.engine import compile_plan, freeze, thaw
from millrace.engine.commands import (
    CallModule,
    Commit,
    Finish,
    KeepIncomplete,
    Note,
    Rollback,
    WaitUntil,
    Yield,
)
from millrace.engine.events import (
    Committed,
    Continued,
    Failure,
    Kept,
    ModuleAnswered,
    ModuleFailed,
    RolledBack,
    TimeReached,
)
from millrace.errors import ModuleError
from millrace.scenario.formats import read_scenario

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OPEN = ModuleTraits(name="", is_open=True)


def traits(name: str, **of: Any) -> ModuleTraits:
    """What the engine knows of a test module: the kind is the part before the first dash."""
    kinds = {"trigger", "action", "search", "transformer", "aggregator", "responder"}
    word = name.partition(":")[2].partition("-")[0]
    return ModuleTraits(
        name=name, is_open=True, app_label="Test", kind=word if word in kinds else "action", **of
    )


def lookup(name: str, version: int | None) -> ModuleTraits | None:
    """Every module of the app "test" exists; of "flow" and "tools" those the engine knows."""
    app = name.partition(":")[0]
    if name == "flow:array-aggregator":
        fields = ParameterTraits(name="fields", type="collection")
        return ModuleTraits(name=name, kind="aggregator", effect="pure", parameters=(fields,))
    if app == "test":
        return traits(name)
    return OPEN if app in ("flow", "tools") else None


class Played:
    """What happened."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.notes: list[Note] = []
        self.kept: list[KeepIncomplete] = []
        self.commits = 0
        self.rollbacks = 0
        self.waits: list[timedelta] = []
        self.keys: list[str] = []
        self.finish: Finish | None = None

    @property
    def status(self) -> str:
        assert self.finish is not None
        return self.finish.status

    @property
    def operations(self) -> int:
        assert self.finish is not None
        return self.finish.operations

    def of(self, module: str) -> list[dict[str, Any]]:
        """The parameters that a module was called with, in order."""
        return [parameters for name, parameters in self.calls if name == module]

    def summary(self) -> tuple[Any, ...]:
        """All that must not depend on where an execution was interrupted."""
        return (self.calls, self.kept, self.commits, self.rollbacks, self.finish)


Answer = Callable[..., Any]


def plan_of(text: str) -> Plan:
    return compile_plan(read_scenario(text), lookup)


def play(
    scenario: str | Plan,
    answers: dict[str, Answer] | None = None,
    *,
    start: Start | None = None,
    limits: Limits | None = None,
    freeze_after: int | None = None,
    is_kept: bool = True,
    stop_after: int | None = None,
) -> Played:
    """Carry out a scenario.

    Args:
        scenario: The file's text, or a plan.
        answers: By module id: a function of the parameters (and of the gathered bundles, for
            aggregators) that gives bundles, or raises a ModuleError.
        freeze_after: After this many events, freeze, throw everything away, thaw and go on.
        stop_after: Give up after so many events (for endless scenarios).
    """
    plan = scenario if isinstance(scenario, Plan) else plan_of(scenario)
    played, now, told = Played(), NOON, 0
    run = Interpreter(plan, execution_id="x", limits=limits or Limits())
    todo = run.begin(start or Start(at=now))
    while todo:
        command = todo.pop(0)
        now += timedelta(seconds=1)
        if isinstance(command, Note):
            played.notes.append(command)
            continue
        if isinstance(command, Finish):
            played.finish = command
            assert not todo
            return played
        event: Any
        if isinstance(command, CallModule):
            event = _call(command, answers or {}, played, now)
        elif isinstance(command, Commit):
            played.commits += 1
            event = Committed(command.call, now)
        elif isinstance(command, Rollback):
            played.rollbacks += 1
            event = RolledBack(command.call, now)
        elif isinstance(command, KeepIncomplete):
            played.kept.append(msgspec.structs.replace(command, call=0))
            event = Kept(command.call, now, is_kept)
        elif isinstance(command, WaitUntil):
            played.waits.append(command.at - now + timedelta(seconds=1))
            now = max(now, command.at)
            event = TimeReached(command.call, now)
        else:
            assert isinstance(command, Yield)
            event = Continued(command.call, now)
        todo.extend(run.tell(event))
        told += 1
        if freeze_after is not None and told == freeze_after and not run.is_over:
            frozen = msgspec.msgpack.decode(msgspec.msgpack.encode(freeze(run)))
            notes = [c for c in todo if isinstance(c, (Note, Finish))]
            run = thaw(plan, frozen, execution_id="x", limits=limits or Limits())
            todo = notes + run.waiting()
        if stop_after is not None and told >= stop_after:
            return played
    raise AssertionError("the scenario neither goes on nor ends")


def _call(
    command: CallModule, answers: dict[str, Answer], played: Played, now: datetime
) -> ModuleAnswered | ModuleFailed:
    given = command.parameters
    answer = answers.get(command.module, lambda **parameters: parameters)
    played.keys.append(command.key)
    if command.bundles or command.module.startswith("agg"):
        given = {**given, "gathered": command.bundles}
    played.calls.append((command.module, given))
    try:
        made = answer(**given)
    except ModuleError as error:
        return ModuleFailed(command.call, now, Failure.of(error))
    if made is None:
        made = []
    if isinstance(made, dict):
        made = [made]
    return ModuleAnswered(command.call, now, list(made))
