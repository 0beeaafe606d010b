"""Every case of every app, found by listing folders."""

import pytest

from millrace.appkit.cases import differences, run_case
from millrace.appkit.catalog import load_catalog
from millrace.errors import ManifestInvalid

CATALOG = load_catalog()


def every_case():
    for app in CATALOG.apps():
        for name in app.module_names:
            try:
                for case in app.module(name.partition(":")[2]).cases():
                    yield pytest.param(name, case, id=f"{name}: {case.case}")
            except ManifestInvalid as error:
                yield pytest.param(name, error, id=f"{name}: its cases can be read")


@pytest.mark.parametrize(("name", "case"), list(every_case()))
async def test_a_case_gives_what_it_says(name, case):
    if isinstance(case, ManifestInvalid):
        raise case

    assert differences(case, await run_case(CATALOG.module(name), case)) == []


@pytest.mark.parametrize("app", [pytest.param(app, id=app.name) for app in CATALOG.apps()])
def test_cases_stand_beside_the_modules_they_are_for(app):
    modules = {path.name for path in (app.folder / "modules").glob("*.yaml")}
    cases = {path.name for path in (app.folder / "cases").glob("*.yaml")}

    assert cases <= modules
