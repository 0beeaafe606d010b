"""``millrace app``: for those who make apps."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from millrace.cli.given import values_of
from millrace.errors import NotFound


@click.group()
def app() -> None:
    """Check, try and make apps."""


@app.command()
@click.argument("names", nargs=-1)
def check(names: tuple[str, ...]) -> int:
    """Hold apps against the rules; all of them, or those in NAMES (names or folders).

    The exit code is 1 when a rule is broken.
    """
    from millrace.appkit.check import check_app, check_catalog

    catalog, wanted = _catalog(names)
    if wanted:
        reports = [check_app(_app(catalog, name), catalog) for name in wanted]
    else:
        reports = check_catalog(catalog)
    findings = 0
    for report in reports:
        for finding in report.findings:
            click.echo(str(finding))
        findings += len(report.findings)
        click.echo(f"{report.app}: {report.level}")
    return 1 if findings else 0


@app.command("try")
@click.argument("name")
@click.argument("module")
@click.option(
    "--set",
    "fields",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A field of the connection: token=…, or token=@file.",
)
@click.option("--connection-type", help="Which, when the module takes several.")
@click.option("--parameter", "-p", "parameters", multiple=True, metavar="NAME=VALUE|@FILE")
@click.option("--record", is_flag=True, help="Add the exchange to the module's cases.")
@click.option("--case", default="recorded", show_default=True, help="What the case is called.")
def try_(
    name: str,
    module: str,
    fields: tuple[str, ...],
    connection_type: str | None,
    parameters: tuple[str, ...],
    record: bool,
    case: str,
) -> int:
    """Run MODULE of the app NAME once against the service itself.

    NAME is an installed app or a folder. Secrets are removed from what is recorded.
    """
    from millrace.api.values import plain
    from millrace.appkit.guard import Guard
    from millrace.appkit.trial import record_case, try_module
    from millrace.cli.building import allowed
    from millrace.settings import read_settings

    catalog, wanted = _catalog((name,))
    found = _app(catalog, wanted[0])
    spec = found.module(module.rpartition(":")[2].replace("_", "-"))
    if spec is None:
        raise NotFound(f"{found.name} has no module {module}: {', '.join(found.module_names)}")
    trial = asyncio.run(
        try_module(
            spec,
            values_of(parameters),
            fields={key: str(value) for key, value in values_of(fields).items()} or None,
            connection_type=connection_type,
            name=case,
            guard=Guard(allow=allowed(read_settings())),
        )
    )
    if trial.error is not None:
        click.echo(f"{trial.error.type}: {trial.error.message}", err=True)
    for bundle in trial.bundles:
        click.echo(json.dumps(plain(bundle), indent=2, ensure_ascii=False))
    if record:
        click.echo(f"Recorded in {record_case(spec, trial.case)}")
    return 1 if trial.error is not None and not record else 0


@app.command()
@click.argument("name")
@click.option("--in", "folder", type=click.Path(path_type=Path), default=Path("."), help="Where.")
@click.option("--label", default="", help="What people call it.")
def new(name: str, folder: Path, label: str) -> None:
    """Make an app called NAME: a folder with one working module and a passing case."""
    from millrace.appkit.new import create_app

    made = create_app(folder, name, label=label)
    click.echo(f"{made} is there. Next: millrace app check {made}")


def _catalog(names: tuple[str, ...]) -> tuple[Any, list[str]]:
    """The apps, those in given folders too, and the names of the wanted ones."""
    from millrace.appkit.catalog import load_catalog
    from millrace.settings import read_settings

    folders: list[Path] = list(read_settings().apps)
    wanted = []
    for name in names:
        path = Path(name)
        if (path / "app.yaml").is_file():
            wanted.append(path.resolve().name.replace("_", "-"))
            is_ours = (load_catalog().app(wanted[-1])) is not None
            if not is_ours:
                folders.append(path)
        else:
            wanted.append(name.replace("_", "-"))
    return load_catalog(*folders), wanted


def _app(catalog: Any, name: str) -> Any:
    found = catalog.app(name)
    if found is None:
        known = ", ".join(app.name for app in catalog.apps())
        raise NotFound(f"There is no app {name}. Installed are: {known}.")
    return found
