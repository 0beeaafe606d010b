"""Real exports, when they are at hand; the importer's own tests are in ``tests/scenario``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from millrace.appkit.catalog import Catalog
from millrace.engine import compile_plan
from millrace.scenario.formats import read_scenario, write_make

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "make"
FILES = sorted(CORPUS.glob("*.json"))


@pytest.mark.skipif(not FILES, reason="the corpus of exports is not on this machine")
def test_T22_every_export_is_read_compiled_and_written_back_the_same() -> None:
    catalog = Catalog.load()
    for file in FILES:
        scenario = read_scenario(file.read_bytes())
        connections = [
            m.resources["connection"] for m in scenario.modules() if "connection" in m.resources
        ]
        assert all(isinstance(name, str) for name in connections), file.name
        plan = compile_plan(scenario, catalog.traits)
        assert set(plan.by_id) <= {module.id for module in scenario.modules()}, file.name
        assert write_make(scenario) == json.loads(file.read_text("utf-8-sig")), file.name
