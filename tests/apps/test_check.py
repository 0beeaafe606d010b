"""Every app keeps every rule."""

import pytest

from millrace.appkit.catalog import load_catalog
from millrace.appkit.check import check_catalog

CATALOG = load_catalog()
REPORTS = {report.app: report for report in check_catalog(CATALOG)}


@pytest.mark.parametrize("app", [app.name for app in CATALOG.apps()])
def test_an_app_keeps_every_rule(app):
    assert [str(finding) for finding in REPORTS[app].findings] == []


@pytest.mark.parametrize("app", [app.name for app in CATALOG.apps()])
def test_an_app_of_ours_is_tested(app):
    assert REPORTS[app].level == "tested"
