"""Play a scenario in memory: every module is a function, every commit is a list entry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec

from millrace.engine import (
    Interpreter,
    Kind,
    Limits,
    ModuleTraits,
    ParameterTraits,
    Plan,
    Start,
    compile_plan,
    freeze,
    thaw,
)
from millrace.engine.commands import (
    CallModule,
    Command,
    Commit,
    Finish,
    KeepIncomplete,
    Note,
    Rollback,
    WaitUntil,
    Yield,
)
from millrace.engine.events import (
    Cancelled,
    CommitFailed,
    Committed,
    Continued,
    Event,
    Failure,
    Kept,
    ModuleAnswered,
    ModuleFailed,
    RolledBack,
    TimeReached,
)
from millrace.errors import (
    BundleValidationError,
    ConnectionFailure,
    DataError,
    ModuleError,
    RuntimeFailure,
)
from millrace.scenario.formats import read_scenario

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OPEN = ModuleTraits(name="", is_open=True)

TYPES: dict[str, type[ModuleError]] = {
    error.type: error for error in (BundleValidationError, ConnectionFailure, DataError)
}

_KINDS = {"trigger", "action", "search", "transformer", "aggregator", "responder"}


def traits(name: str) -> ModuleTraits:
    """What the engine knows of a test module: the kind is the part before the first dash."""
    word = name.partition(":")[2].partition("-")[0]
    kind = cast(Kind, word if word in _KINDS else "action")
    return ModuleTraits(name=name, is_open=True, app_label="Test", kind=kind)


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
        self.commands: list[Command] = []
        """Everything that was asked, in order."""
        self.history: list[tuple[Event, list[Command]]] = []
        """What was told, and the answer to it."""
        self.notes: list[Note] = []
        self.kept: list[KeepIncomplete] = []
        self.commits = 0
        self.rollbacks = 0
        self.waits: list[timedelta] = []
        self.keys: list[str] = []
        self.finish: Finish | None = None
        self.start = Start(at=NOON)

    @property
    def status(self) -> str:
        return self.end.status

    @property
    def operations(self) -> int:
        return self.end.operations

    @property
    def end(self) -> Finish:
        assert self.finish is not None
        return self.finish

    @property
    def error(self) -> str | None:
        """The type of the failure that the execution ended with."""
        return None if self.end.failure is None else self.end.failure.type

    @property
    def log(self) -> list[str]:
        """The modules called, in order."""
        return [module for module, _ in self.calls]

    def of(self, module: str) -> list[dict[str, Any]]:
        """The parameters that a module was called with, in order."""
        return [parameters for name, parameters in self.calls if name == module]

    def values(self, module: str, parameter: str = "v") -> list[Any]:
        """One parameter of every call of a module, in order."""
        return [parameters.get(parameter) for parameters in self.of(module)]

    def summary(self) -> tuple[Any, ...]:
        """All that must not depend on where an execution was interrupted."""
        return (self.calls, self.keys, self.kept, self.commits, self.rollbacks, self.finish)


Answer = Callable[..., Any]


def aggregate(gathered: list[dict[str, Any]], **static: Any) -> dict[str, Any]:
    """What flow:array-aggregator answers."""
    return {
        "array": [bundle.get("fields", {}) for bundle in gathered],
        "__IMTAGGLENGTH__": len(gathered),
    }


def fail(
    message: str = "no", *, error: type[ModuleError] = RuntimeFailure, **of: Any
) -> Callable[..., Any]:
    """An answer that is always an error."""

    def answer(**parameters: Any) -> Any:
        raise error(message, **of)

    return answer


def fail_when(
    condition: Callable[[dict[str, Any]], bool], *, error: type[ModuleError] = RuntimeFailure
) -> Callable[..., Any]:
    """An answer that is an error for some parameters, else the parameters."""

    def answer(**parameters: Any) -> Any:
        if condition(parameters):
            raise error("no")
        return parameters

    return answer


def fail_times(times: int, *, error: type[ModuleError] = RuntimeFailure) -> Callable[..., Any]:
    """An answer that is an error so many times, then the parameters."""
    left = [times]

    def answer(**parameters: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise error("not yet")
        return parameters

    return answer


def pages(*pages: list[dict[str, Any]]) -> Callable[[CallModule], Any]:
    """For `by_command`: a stream, page by page."""

    def answer(command: CallModule) -> tuple[list[dict[str, Any]], bool]:
        delivered = 0
        for number, page in enumerate(pages, 1):
            is_last = number == len(pages)
            if delivered == command.page and (page or is_last):
                return page, not is_last
            delivered += len(page)
        raise AssertionError("asked for a page that is not there")

    return answer


def plan_of(text: str) -> Plan:
    return compile_plan(read_scenario(text), lookup)


def play(
    scenario: str | Plan,
    answers: dict[str, Answer] | None = None,
    *,
    by_command: dict[str, Answer] | None = None,
    start: Start | None = None,
    limits: Limits | None = None,
    freeze_after: int | None = None,
    cancel_after: int | None = None,
    is_kept: bool = True,
    commits: bool = True,
    step: timedelta = timedelta(seconds=1),
    last_first: bool = False,
    names: dict[str, Any] | None = None,
    execution_id: str = "x",
) -> Played:
    """Carry out a scenario.

    Args:
        scenario: The file's text, or a plan.
        answers: By module id: a function of the parameters (and of the gathered bundles, for
            aggregators) that gives bundles, or raises a ModuleError. Without one: the parameters.
        by_command: By module id: a function of the command that gives a page of bundles and
            whether there are more.
        freeze_after: After this many events, freeze, throw everything away, thaw and go on.
        cancel_after: Cancel after this many events.
        is_kept: Whether there is room for incomplete executions.
        commits: False: every commit fails.
        step: How long everything takes.
        last_first: Of several commands that wait, do the last one first.
    """
    plan = scenario if isinstance(scenario, Plan) else plan_of(scenario)
    played, now, told = Played(), NOON, 0
    limits, answers = limits or Limits(), {"agg": aggregate, **(answers or {})}
    run = Interpreter(plan, execution_id=execution_id, limits=limits, names=names)
    played.start = start or played.start
    todo = run.begin(played.start)
    played.commands += todo
    while True:
        for command in todo:
            if isinstance(command, Note):
                played.notes.append(command)
            elif isinstance(command, Finish):
                played.finish = command
        todo = [command for command in todo if not isinstance(command, (Note, Finish))]
        if played.finish is not None:
            return played
        assert todo, "the scenario neither goes on nor ends"
        command = todo.pop(-1 if last_first else 0)
        now += step
        if told == cancel_after:
            event: Event = Cancelled(now)
            todo = [c for c in (command, *todo) if isinstance(c, (Commit, Rollback))]
        else:
            streams = by_command or {}
            event = _do(command, answers, streams, played, now, is_kept=is_kept, commits=commits)
        now = event.at
        answer = run.tell(event)
        played.history.append((event, answer))
        played.commands += answer
        todo += answer
        if run.is_stopping:
            # What was asked side by side with the operation that ended all is not begun any more.
            todo = [c for c in todo if isinstance(c, Finish | Note) or c.call in run.pending]
        told += 1
        if told == freeze_after and not run.is_over:
            frozen = msgspec.msgpack.decode(msgspec.msgpack.encode(freeze(run)))
            ready = [c for c in todo if isinstance(c, (Note, Finish))]
            run = thaw(plan, frozen, execution_id=execution_id, limits=limits, names=names)
            todo = ready + run.waiting()


def _do(
    command: Command,
    answers: dict[str, Answer],
    streams: dict[str, Answer],
    played: Played,
    now: datetime,
    *,
    is_kept: bool,
    commits: bool,
) -> Event:
    match command:
        case CallModule():
            return _call(command, answers, streams, played, now)
        case Commit():
            if not commits:
                return CommitFailed(command.call, now, Failure("InconsistencyError", "torn"))
            played.commits += 1
            return Committed(command.call, now)
        case Rollback():
            played.rollbacks += 1
            return RolledBack(command.call, now)
        case KeepIncomplete():
            played.kept.append(command)
            return Kept(command.call, now, is_kept)
        case WaitUntil():
            played.waits.append(command.at - now)
            return TimeReached(command.call, max(now, command.at))
        case Yield():
            return Continued(command.call, now)
        case _:
            raise TypeError(command)


def _call(
    command: CallModule,
    answers: dict[str, Answer],
    streams: dict[str, Answer],
    played: Played,
    now: datetime,
) -> ModuleAnswered | ModuleFailed:
    given = command.parameters
    answer = answers.get(command.module, lambda **parameters: parameters)
    played.keys.append(command.key)
    if command.bundles or answer is aggregate or command.module.startswith("agg"):
        given = {**given, "gathered": command.bundles}
    played.calls.append((command.module, given))
    try:
        if command.module in streams:
            return ModuleAnswered(command.call, now, *streams[command.module](command))
        made = answer(**given)
    except ModuleError as error:
        return ModuleFailed(command.call, now, Failure.of(error))
    if made is None:
        made = []
    if isinstance(made, dict):
        made = [made]
    return ModuleAnswered(command.call, now, list(made))
