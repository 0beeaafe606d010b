"""``millrace run``: one scenario file, once, without a server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from millrace.cli.given import json_of, pair_of, values_of
from millrace.errors import ManifestInvalid, RequestInvalid

if TYPE_CHECKING:
    from millrace.settings import Settings

MOST_LINES = 60
"""Operations shown one by one; of the others only the sums by module."""


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE|@FILE", help="An input.")
@click.option(
    "--bundle",
    "given_bundles",
    multiple=True,
    metavar="JSON|@FILE",
    help="What the trigger gives, instead of being asked; a list gives several.",
)
@click.option(
    "--connection",
    "connections",
    multiple=True,
    metavar="NAME=JSON|NAME=@FILE",
    help='A connection that the file names: \'shop={"username": "a", "password": "b"}\'.',
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Run in this data folder and keep the execution there; otherwise nothing is kept.",
)
@click.option("--allow", multiple=True, metavar="NETWORK", help="A private network to allow.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="Print the summary alone.")
def run(
    file: Path,
    inputs: tuple[str, ...],
    given_bundles: tuple[str, ...],
    connections: tuple[str, ...],
    data: Path | None,
    allow: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Run the scenario in FILE once and say what every module did.

    The exit code is 1 when the execution failed. Private addresses are refused unless --allow or
    MILLRACE_EGRESS__ALLOW names them. Where the scenario starts with a webhook, the inputs are what
    it receives.
    """
    from millrace.log import configure
    from millrace.settings import read_settings

    configure(level="error", format=read_settings().log.format)
    bundles: list[Any] | None = None
    for one in given_bundles:
        found = json_of(one)
        bundles = [*(bundles or []), *(found if isinstance(found, list) else [found])]
    if bundles is not None and not all(isinstance(bundle, dict) for bundle in bundles):
        raise click.BadParameter("a bundle is a JSON object", param_hint="--bundle")
    fields = {name: _fields(value) for name, value in map(pair_of, connections)}
    is_temporary = data is None
    with contextlib.ExitStack() as stack:
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="millrace-")))
        result = asyncio.run(
            _run(
                read_settings(data=data),
                file.read_bytes(),
                inputs=values_of(inputs),
                bundles=bundles,
                connections=fields,
                allow=allow,
                is_temporary=is_temporary,
                is_quiet=as_json or quiet,
                name=file.stem,
            )
        )
    if as_json:
        click.echo(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        _say(result)
    return 0 if result["status"] in ("success", "warning") and not result["incomplete"] else 1


async def _run(
    settings: Settings,
    content: bytes,
    *,
    inputs: dict[str, Any],
    bundles: list[dict[str, Any]] | None,
    connections: dict[str, dict[str, Any]],
    allow: tuple[str, ...],
    is_temporary: bool,
    is_quiet: bool,
    name: str,
) -> dict[str, Any]:
    from millrace.api.values import plain
    from millrace.cli.building import build_runtime, network
    from millrace.runtime.program import Program
    from millrace.runtime.starting import check_start, checked_inputs, starts_with_an_event
    from millrace.scenario.formats import read_scenario
    from millrace.scenario.problems import invalid

    runtime = await build_runtime(settings, allow=[network(text) for text in allow])
    try:
        by = await runtime.users.ensure_owner()
        scenario = read_scenario(content, known=runtime.checker.known())
        await _prepare(runtime, by, scenario, connections, is_temporary=is_temporary)
        problems = await runtime.checker.check(by.team_id, scenario)
        if errors := [problem for problem in problems if problem.severity == "error"]:
            raise invalid(errors)
        if not is_quiet:
            for problem in problems:
                click.echo(f"! {problem}", err=True)
        saved = await runtime.scenarios.import_(content, by=by, name=scenario.name or name)
        version = await runtime.scenarios.text(saved.scenario.id, by=by)
        program: Program = await runtime.programs.version(by.team_id, version.id)
        if bundles is None and inputs and starts_with_an_event(program):
            bundles, inputs = [inputs], {}
        check_start(program, bundles)
        given = checked_inputs(program.scenario, inputs)
        await runtime.start(is_scheduling=False)
        progress = Progress(
            {module.id: module.module for module in program.scenario.modules()}, is_quiet=is_quiet
        )
        watching = asyncio.create_task(progress.watch(runtime.live.subscribe(by.team_id)))
        await asyncio.sleep(0)  # So that it listens before anything happens.
        execution_id, done = await runtime.executions.start(program, inputs=given, bundles=bundles)
        outcome = await done
        await asyncio.sleep(0)
        watching.cancel()
        failure = outcome.finish.failure
        return {
            "execution_id": execution_id,
            "scenario": saved.scenario.name,
            "status": outcome.finish.status,
            "operations": outcome.finish.operations,
            "transfer_bytes": outcome.finish.transfer_bytes,
            "cycles": outcome.finish.cycles,
            "duration_ms": outcome.row.duration_ms,
            "modules": progress.sums(outcome.finish.by_module),
            "outputs": plain(outcome.finish.outputs),
            "error": None
            if failure is None
            else {"type": failure.type, "message": failure.message, "module": failure.module},
            "incomplete": [
                {"type": row.error_type, "message": row.error_message, "module": row.error_module}
                for row in outcome.incomplete
            ],
        }
    finally:
        await runtime.close()


async def _prepare(
    runtime: Any,
    by: Any,
    scenario: Any,
    connections: dict[str, dict[str, Any]],
    *,
    is_temporary: bool,
) -> None:
    """Make what the scenario names: the given connections; in a temporary folder empty stores."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for module in scenario.modules():
        for word, name in module.resources.items():
            wanted.setdefault((word, name), []).append(module.module)
    names = {name for word, name in wanted if word == "connection"}
    if unknown := connections.keys() - names:
        known = ", ".join(sorted(names)) or "none"
        raise RequestInvalid(
            f"The scenario names no connection {min(unknown)!r}; it names: {known}."
        )
    for (word, name), modules in wanted.items():
        if await runtime.named.find(by.team_id, word, name) is not None:
            continue
        if word == "connection" and name in connections:
            fields = dict(connections[name])
            app, type_ = _type_of(runtime.catalog, modules[0], fields)
            await runtime.connections.create(by=by, app=app, type=type_, name=name, fields=fields)
        elif word == "data_store" and is_temporary:
            await runtime.data_stores.create(by=by, name=name)
        elif word == "webhook" and is_temporary:
            await runtime.webhooks.create(by=by, name=name)


def _type_of(catalog: Any, module: str, fields: dict[str, Any]) -> tuple[str, str]:
    """The app and type of a connection: as given, or the first that these fields fit."""
    spec = catalog.module(module)
    accepted = spec.manifest.connections if spec else ()
    app = module.partition(":")[0]
    given = fields.pop("type", None)
    for type_ in accepted:
        try:
            manifest = catalog.connection(type_, app=app)
        except ManifestInvalid:
            continue
        names = {parameter.name for parameter in manifest.fields}
        required = {
            parameter.name
            for parameter in manifest.fields
            if parameter.required and parameter.default is None
        }
        if given in (type_, type_.rpartition(":")[2]) or (
            given is None and fields.keys() <= names and required <= fields.keys()
        ):
            owner, _, name = type_.rpartition(":")
            return owner or app, name
    raise RequestInvalid(
        f"{module} takes a connection of the type {' or '.join(accepted) or 'none'}, "
        'and these fields fit none of them. Say which with "type".'
    )


class Progress:
    """Says what every operation did, as it happens, and sums up by module.

    Args:
        names: ``app:module`` of each module's id, in reading order.
        is_quiet: Only sum up.
    """

    def __init__(self, names: dict[str, str], *, is_quiet: bool) -> None:
        self._names = names
        self._is_quiet = is_quiet
        self._lines = 0
        self._bundles: dict[str, int] = {}
        self._took_us: dict[str, int] = {}
        self._errors: dict[str, int] = {}

    async def watch(self, events: Any) -> None:
        """Listen until cancelled."""
        async for event in events:
            if event["type"] == "operation":
                self.add(event)

    def add(self, event: dict[str, Any]) -> None:
        """One operation."""
        module = event["module"]
        bundles = event["bundles"] or 0
        self._bundles[module] = self._bundles.get(module, 0) + bundles
        self._took_us[module] = self._took_us.get(module, 0) + event["took_us"]
        error = event["error"]
        if error:
            self._errors[module] = self._errors.get(module, 0) + 1
        if self._is_quiet or not module:
            return
        self._lines += 1
        if self._lines > MOST_LINES:
            if self._lines == MOST_LINES + 1:
                click.echo("… only the sums from here on")
            return
        click.echo(self._line(module, event))

    def sums(self, operations: dict[str, int]) -> list[dict[str, Any]]:
        """What each module did, in reading order."""
        if self._lines > MOST_LINES:
            for module in _ordered(operations, self._names):
                took = self._took_us.get(module, 0) / 1000
                click.echo(
                    f"  {module} {self._names.get(module, '')}  {operations[module]} operations"
                    f"  {_counted(self._bundles.get(module, 0), 'bundle')}  {_span(took)}"
                )
        return [
            {
                "module": module,
                "name": self._names.get(module, ""),
                "operations": operations[module],
                "bundles": self._bundles.get(module, 0),
                "errors": self._errors.get(module, 0),
                "duration_ms": round(self._took_us.get(module, 0) / 1000, 3),
            }
            for module in _ordered(operations, self._names)
        ]

    def _line(self, module: str, event: dict[str, Any]) -> str:
        head = f"{module} {self._names.get(module, '')}".rstrip()
        took = _span(event["took_us"] / 1000)
        if event["error"]:
            type_, message = event["error"][:2]
            mark = click.style("✕", fg="red", bold=True)
            return f"{mark} {head}  {took}\n  {type_}: {message}"
        mark = click.style("✓", fg="green", bold=True)
        # An iterator's items are plain from its input and are not in the journal.
        given = "" if event["bundles"] is None else f"  {_counted(event['bundles'], 'bundle')}"
        return f"{mark} {head}{given}  {took}"


def _ordered(operations: Iterable[str], names: dict[str, str]) -> list[str]:
    order = {module: number for number, module in enumerate(names)}
    return sorted(operations, key=lambda module: order.get(module, len(order)))


def _fields(value: str) -> dict[str, Any]:
    found = json_of(value)
    if not isinstance(found, dict):
        raise click.BadParameter("a connection is a JSON object", param_hint="--connection")
    return found


def _say(result: dict[str, Any]) -> None:
    for kept in result["incomplete"]:
        where = f" in module {kept['module']}" if kept["module"] else ""
        click.echo(f"Incomplete{where}: {kept['type']}: {kept['message']}", err=True)
    error = result["error"]
    if error:
        click.echo(f"{error['type']}: {error['message']}", err=True)
    if result["outputs"]:
        click.echo(json.dumps(result["outputs"], indent=2, ensure_ascii=False))
    status = result["status"]
    colour = {"success": "green", "warning": "yellow"}.get(status, "red")
    click.echo(
        f"{click.style(status, fg=colour, bold=True)}: "
        f"{_counted(result['operations'], 'operation')}, "
        f"{_size(result['transfer_bytes'])} transferred, {_span(result['duration_ms'] or 0)}"
    )


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _span(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
    return f"{milliseconds / 1000:.1f} s"


def _size(size_bytes: int) -> str:
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1000:.1f} kB" if size_bytes < 10**6 else f"{size_bytes / 10**6:.1f} MB"
