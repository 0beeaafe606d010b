"""Killed at every effect, on either side of it: nothing is lost and nothing is repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "restarting.py"

SCENARIO = """
millrace: 1
name: Kill me
flow:
  - {id: 1, module: "webhooks:receive", webhook: w}
  - {id: count, module: "flow:repeater", parameters: {start: 1, repeats: "{{1.n}}", step: 1}}
  - {id: ask, module: "probe:read", parameters: {value: "{{count.i}}"}}
  - {id: plain, module: "probe:pure", parameters: {value: "{{ask.value * 10}}"}}
  - {id: safe, module: "probe:keyed", parameters: {value: "{{plain.value}}"}}
  - {id: act, module: "probe:blind", parameters: {value: "{{plain.value}}"}}
"""


class Lives:
    """What came of an installation that was started until it was done."""

    def __init__(self, folder: Path, die_at: str) -> None:
        scenario, self.effects_file = folder / "scenario.yaml", folder / "effects"
        scenario.write_text(SCENARIO)
        self.effects_file.touch()
        self.deaths = 0
        for attempt in range(3):
            environment = {**os.environ, "PROBE_FILE": str(self.effects_file)}  # noqa: TID251
            if attempt == 0:
                environment["PROBE_DIE"] = die_at
            run = subprocess.run(
                [sys.executable, str(SCRIPT), str(folder / "data"), str(scenario)],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if run.returncode == 0:
                self.report = json.loads(run.stdout)
                break
            assert run.returncode == 9, run.stderr
            self.deaths += 1
        lines = self.effects_file.read_text().splitlines()
        self.effects = [tuple(line.split()) for line in lines]

    def of(self, kind: str) -> list[tuple[str, ...]]:
        return [effect for effect in self.effects if effect[0] == kind]


def test_an_execution_that_is_not_killed_does_everything_once(tmp_path: Path) -> None:
    lives = Lives(tmp_path, "")
    assert lives.deaths == 0
    assert [effect[0] for effect in lives.effects] == ["read", "keyed", "blind"] * 3
    assert lives.report == {"executions": [["success", 14, None]], "incomplete": []}


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("side", ["before", "after"])
def test_killed_at_an_effect_it_goes_on_without_repeating_what_was_done(
    tmp_path: Path, side: str, number: int
) -> None:
    lives = Lives(tmp_path, f"{side} {number}")
    assert lives.deaths == 1
    kind = ("read", "keyed", "blind")[(number - 1) % 3]
    # A completed operation is never repeated: only the one that was under way may be.
    keys = Counter((kind, module, value, key) for kind, module, value, key in lives.effects)
    repeated = {effect for effect, times in keys.items() if times > 1}
    assert all(effect[0] in ("read", "keyed") for effect in repeated)
    assert len(repeated) <= 1
    # A keyed effect carries the same key again, so the service does it once.
    assert len({key for _, _, _, key in lives.of("keyed")}) == 3
    # Reading again and keyed again is safe; a blind effect is held, whatever side it died on.
    if kind == "blind":
        done = 3 if side == "after" else 2
        assert len(lives.of("blind")) == done
        assert lives.report["incomplete"] == [["OutcomeUnknownError", "act"]]
        assert [row[0] for row in lives.report["executions"]] == ["warning"]
    else:
        assert len(lives.of("blind")) == 3
        assert lives.report["incomplete"] == []
        assert lives.report["executions"] == [["success", 14, None]]
