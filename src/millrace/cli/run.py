"""``millrace run``: one scenario file, once, without a server."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from millrace.errors import NotFound
from millrace.settings import read_settings


@click.command(short_help="Run a scenario file once, without a server.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE | @FILE | JSON",
    help="What the trigger receives, or an input of the scenario. May be given several times.",
)
@click.option(
    "--connection",
    "connections",
    multiple=True,
    metavar="NAME=JSON | NAME=@FILE",
    help='The fields of a connection; {"type": "basic", …} where the app offers several types.',
)
@click.option("--data", type=click.Path(path_type=Path), help="Keep everything in this folder.")
@click.option("--allow", multiple=True, metavar="NETWORK", help="A private network to allow.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
@click.option("--quiet", is_flag=True, help="Print the summary alone.")
def run(
    file: Path,
    inputs: tuple[str, ...],
    connections: tuple[str, ...],
    data: Path | None,
    allow: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Run a scenario file once, without a server.

    A line is printed for every operation, then a summary. Data stores that the file names are made
    when they are missing. Without --data nothing is left behind.
    """
    given = _inputs(inputs)
    opened = dict(_connection(text) for text in connections)
    content = file.read_bytes()
    if data is not None:
        return asyncio.run(_run(content, given, opened, data, allow, as_json, quiet))
    with tempfile.TemporaryDirectory(prefix="millrace-") as folder:
        return asyncio.run(_run(content, given, opened, Path(folder), allow, as_json, quiet))


async def _run(
    content: bytes,
    given: dict[str, Any],
    connections: Mapping[str, dict[str, Any]],
    data: Path,
    allow: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    from millrace.cli.building import build_runtime, network
    from millrace.runtime.program import Program
    from millrace.scenario.formats import MakeModule, read_scenario

    runtime = await build_runtime(read_settings(data=data), allow=[network(text) for text in allow])
    try:
        owner = await runtime.users.ensure_owner()
        await runtime.start(is_scheduling=False)
        known = {k: MakeModule(**v) for k, v in runtime.catalog.make_modules().items()}
        scenario = read_scenario(content, known=known)
        program = Program(
            scenario, runtime.catalog, team_id=owner.team_id, scenario_id="command line"
        )
        await _prepare(runtime, owner, program, connections)
        first = program.plan.first
        is_instant = first is not None and first.traits is not None
        is_instant = is_instant and first.traits.kind == "instant-trigger"
        progress = _Progress(program, is_silent=as_json or quiet)
        watching = asyncio.create_task(progress.watch(runtime.live, owner.team_id))
        await progress.listening.wait()
        _, done = await runtime.executions.start(
            program, inputs=given, bundles=[given] if is_instant else None
        )
        outcome = await done
        await watching
        if as_json:
            click.echo(json.dumps(_document(outcome, progress), indent=2, default=str))
        else:
            _say_summary(outcome)
        return 0 if outcome.finish.status in ("success", "warning") else 1
    finally:
        await runtime.close()


async def _prepare(
    runtime: Any, owner: Any, program: Any, connections: Mapping[str, dict[str, Any]]
) -> None:
    """Make what the scenario names and this folder lacks."""
    for operator in program.operators:
        if operator is None:
            continue
        for word, name in operator.resources.items():
            if await runtime.named.find(owner.team_id, word, name) is not None:
                continue
            if word == "data_store":
                await runtime.data_stores.create(by=owner, name=name)
            elif word == "connection":
                fields = dict(connections.get(name) or {})
                if not fields:
                    raise NotFound(
                        f"{operator.spec.name} needs the connection {name!r}. Give it with "
                        f"--connection '{name}={{…}}'."
                    )
                types = operator.spec.manifest.connection
                types = (types,) if isinstance(types, str) else tuple(types)
                type_ = fields.pop("type", types[0] if types else "custom")
                app = operator.spec.app.name
                await runtime.connections.create(
                    by=owner, app=app, type=type_, name=name, fields=fields
                )


class _Progress:
    """Prints a line for every operation while the execution goes on."""

    def __init__(self, program: Any, *, is_silent: bool) -> None:
        self._modules = {node.id: node.module.module for node in program.plan.nodes}
        self._is_silent = is_silent
        self.listening = asyncio.Event()
        self.lines: list[dict[str, Any]] = []

    async def watch(self, live: Any, team_id: str) -> None:
        """Listen until the execution ends."""
        events = live.subscribe(team_id)
        asyncio.get_running_loop().call_soon(self.listening.set)
        async for event in events:
            if event["type"] == "finished":
                return
            if event["type"] == "operation":
                self.lines.append(event)
                if not self._is_silent:
                    self._say(event)

    def _say(self, event: Mapping[str, Any]) -> None:
        module = self._modules.get(event["module"], "")
        error = event.get("error")
        mark = "✗" if error else "✓"
        line = f"{mark} {event['module']:>6}  {module:<26}"
        if error:
            click.echo(f"{line}  {error[1]}")
            return
        count = event.get("bundles")
        said = "" if count is None else f"{count} bundle{'' if count == 1 else 's'}"
        took = event.get("took_us", 0) / 1000
        click.echo(f"{line}  {said:<12}{took:9.1f} ms" if took else f"{line}  {said}".rstrip())


def _say_summary(outcome: Any) -> None:
    finish, row = outcome.finish, outcome.row
    size = finish.transfer_bytes
    click.echo(
        f"{finish.status}: {finish.operations} operation{'' if finish.operations == 1 else 's'}, "
        f"{size} byte{'' if size == 1 else 's'} transferred, {row.duration_ms} ms"
    )
    if finish.failure is not None:
        click.echo(f"{finish.failure.message}  [{finish.failure.type}]", err=True)
    for name, value in (finish.outputs or {}).items():
        click.echo(f"{name}: {value if isinstance(value, str) else json.dumps(value, default=str)}")


def _document(outcome: Any, progress: _Progress) -> dict[str, Any]:
    finish, row = outcome.finish, outcome.row
    failure = finish.failure
    return {
        "status": finish.status,
        "operations": finish.operations,
        "transfer_bytes": finish.transfer_bytes,
        "duration_ms": row.duration_ms,
        "cycles": finish.cycles,
        "by_module": finish.by_module,
        "links": finish.links,
        "outputs": finish.outputs,
        "error": None
        if failure is None
        else {"type": failure.type, "message": failure.message, "module": failure.module},
        "lines": progress.lines,
    }


def _inputs(texts: tuple[str, ...]) -> dict[str, Any]:
    """``name=value`` pairs, whole JSON objects, and files of JSON, in the order given."""
    found: dict[str, Any] = {}
    for text in texts:
        if text.startswith(("@", "{")):
            found.update(_object(text, "--input"))
        else:
            name, equals, value = text.partition("=")
            if not equals:
                raise click.UsageError(f"--input {text}: write name=value, @file or JSON.")
            found[name] = _value(value)
    return found


def _connection(text: str) -> tuple[str, dict[str, Any]]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--connection {text}: write name=JSON or name=@file.")
    return name, _object(value, "--connection")


def _object(text: str, option: str) -> dict[str, Any]:
    try:
        value = json.loads(Path(text[1:]).read_bytes() if text.startswith("@") else text)
    except ValueError as error:
        raise click.UsageError(f"{option}: this is not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise click.UsageError(f"{option}: a JSON object is needed.")
    return value


def _value(text: str) -> Any:
    """A value given on the command line: JSON where it is JSON, otherwise the text."""
    if text.startswith("@"):
        return Path(text[1:]).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError:
        return text
