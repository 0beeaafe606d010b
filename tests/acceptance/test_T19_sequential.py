from __future__ import annotations

from pathlib import Path
from typing import Any

ORDERED = """
millrace: 1
schedule: instant
settings: {sequential: true}
flow:
  - {id: 1, module: "webhooks:receive", webhook: w}
  - {id: 2, module: "trial:act", parameters: {value: "{{1.n}}", broken: "%s"}}
"""


async def test_T19_an_open_incomplete_execution_blocks_the_next_start(
    installation: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    started = await installation.started(ORDERED % broken)
    await started.call({"n": 1})
    await started.has_ended(1)
    broken.unlink()
    await started.call({"n": 2})

    async def is_held() -> bool:
        return dict(await started.waiting()) == {"held": 1}

    await installation.until(is_held)
    assert [ran.given("2") for ran in await started.executions()] == [[1]]
    [kept] = await started.kept()
    await installation.runtime.incomplete.resolve(kept.id, by=installation.owner)
    await started.has_ended(2)
    assert [ran.given("2") for ran in await started.executions()] == [[1], [2]]
