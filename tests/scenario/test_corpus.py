"""Real exports, when they are at hand: every one is read, reported and comes back the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from millrace.scenario.check import check
from millrace.scenario.formats import (
    compatibility,
    read_make,
    read_native,
    read_scenario,
    write_make,
    write_native,
)

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "make"
FILES = sorted(CORPUS.glob("*.json"))

pytestmark = pytest.mark.skipif(not FILES, reason="the corpus of exports is not on this machine")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_T22_a_real_export_is_read_reported_and_written_back_the_same(file):
    original = json.loads(file.read_text(encoding="utf-8-sig"))
    scenario = read_scenario(file.read_bytes())

    assert write_make(scenario) == original
    assert write_make(read_native(write_native(scenario))) == original
    assert list(scenario.modules())
    assert all(problem.path for problem in check(scenario))


def test_nearly_all_expressions_of_real_exports_parse():
    reports = [compatibility(read_make(file.read_bytes())) for file in FILES]
    all_of_them = sum(report.expressions for report in reports)
    broken = sum(len(report.broken) for report in reports)

    # The rest calls functions that Make does not have either, or holds stray backslashes.
    assert broken / all_of_them < 0.02
