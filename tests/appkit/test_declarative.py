"""Modules said in YAML, by the cases of an app made for it."""

from pathlib import Path

import pytest

from millrace.appkit.cases import differences, run_case
from millrace.appkit.catalog import Catalog

SHOP = Catalog.load(Path(__file__).parent / "apps").app("shop")


@pytest.mark.parametrize(
    ("spec", "case"),
    [
        pytest.param(spec, case, id=f"{spec.name}: {case.case}")
        for spec in SHOP.modules()
        for case in spec.cases()
    ],
)
async def test_a_declarative_module_does_what_its_case_says(spec, case):
    assert differences(case, await run_case(spec, case)) == []
