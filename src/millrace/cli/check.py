"""``millrace check``: what is wrong with a scenario file, and what newer modules would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millrace.appkit.catalog import Catalog
    from millrace.scenario.model import Scenario


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--upgrade", is_flag=True, help="Show what newer versions of modules would change.")
def check(file: Path, upgrade: bool) -> int:
    """Say what is wrong with the scenario in FILE, with the path to each place.

    The exit code is 1 when something is an error, 0 when all is well or only warned about.
    """
    from millrace.appkit.catalog import load_catalog
    from millrace.runtime.checking import known_modules
    from millrace.scenario.check import check as problems_of
    from millrace.scenario.formats import read_scenario
    from millrace.settings import read_settings

    catalog = load_catalog(*read_settings().apps)
    scenario = read_scenario(file.read_bytes(), known=known_modules(catalog))
    names = [name for app in catalog.apps() for name in app.module_names]
    problems = problems_of(scenario, catalog.traits, names=names)
    for problem in problems:
        click.echo(f"{problem.severity}: {problem}")
    if upgrade:
        lines = list(upgrades(scenario, catalog))
        click.echo("\n".join(lines) if lines else "Every module is at its newest version.")
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    modules = sum(1 for _ in scenario.modules())
    click.echo(f"{modules} modules, {errors} errors, {warnings} warnings")
    return 1 if errors else 0


def upgrades(scenario: Scenario, catalog: Catalog) -> Iterator[str]:
    """A line for each module that is pinned to an older version, and what the newest changes."""
    for module in scenario.modules():
        newest = catalog.module(module.module)
        if newest is None or module.version in (None, newest.manifest.version):
            continue
        older = catalog.module(module.module, module.version)
        head = f"{module.id} {module.module}: {module.version} → {newest.manifest.version}"
        if older is None:
            yield f"{head}; version {module.version} is not installed any more"
            continue
        before = {parameter.name: parameter for parameter in older.manifest.parameters}
        after = {parameter.name: parameter for parameter in newest.manifest.parameters}
        changes = [f"new parameter {name}" for name in after.keys() - before.keys()]
        changes += [f"parameter {name} is gone" for name in before.keys() - after.keys()]
        changes += [
            f"parameter {name} changed"
            for name in before.keys() & after.keys()
            if before[name] != after[name]
        ]
        if older.manifest.interface != newest.manifest.interface:
            changes.append("its bundles have other fields")
        yield f"{head}; {', '.join(sorted(changes)) or 'nothing that the scenario sees'}"
