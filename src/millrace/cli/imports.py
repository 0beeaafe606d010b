"""``millrace import``: scenarios of ours and exports of Make."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from millrace.runtime.scenarios import Imported
    from millrace.scenario.formats.make_report import Report
    from millrace.scenario.model import Scenario
    from millrace.settings import Settings


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--report", is_flag=True, help="Only say what would become of it, import nothing.")
@click.option("--convert", is_flag=True, help="Only print it as a scenario file of ours.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
def import_(file: Path, report: bool, convert: bool, data: Path | None) -> None:
    """Import the scenario in FILE: ours, or an export of Make.

    The imported scenario is inactive. What runs, which connections must be chosen and what is only
    kept as a placeholder is said module by module.
    """
    from millrace.settings import read_settings

    settings = read_settings(data=data)
    content = file.read_bytes()
    if convert:
        from millrace.scenario.formats import write_native

        click.echo(write_native(_read(settings, content)[0]), nl=False)
        return
    if report:
        click.echo(str(_read(settings, content)[1]), nl=False)
        return
    imported = asyncio.run(_import(settings, content, file.stem))
    click.echo(str(imported.report), nl=False)
    errors = [problem for problem in imported.problems if problem.severity == "error"]
    for problem in errors:
        click.echo(f"error: {problem}")
    click.echo(f"Imported as {imported.scenario.name!r}, id {imported.scenario.id}")


def _read(settings: Settings, content: bytes) -> tuple[Scenario, Report]:
    """The scenario and the report on it."""
    from millrace.cli.building import the_catalog
    from millrace.runtime.checking import known_modules
    from millrace.scenario.formats import read_scenario
    from millrace.scenario.formats.make_report import compatibility

    catalog = the_catalog(settings)
    known = known_modules(catalog)
    scenario = read_scenario(content, known=known)
    return scenario, compatibility(scenario, known, catalog.traits)


async def _import(settings: Settings, content: bytes, name: str) -> Imported:
    from millrace.cli.building import build_runtime

    runtime = await build_runtime(settings)
    try:
        by = await runtime.users.ensure_owner()
        imported = await runtime.scenarios.import_(content, by=by)
        if imported.scenario.name == "Untitled scenario":
            imported.scenario = await runtime.scenarios.rename(
                imported.scenario.id, by=by, name=name
            )
        return imported
    finally:
        await runtime.close()
