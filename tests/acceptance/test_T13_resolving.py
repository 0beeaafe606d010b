from __future__ import annotations

from pathlib import Path
from typing import Any

CHAIN = """
millrace: 1
flow:
  - {id: 1, module: "trial:watch", parameters: {limit: 3, total: 3}}
  - {id: 2, module: "trial:act", parameters: {value: "{{1.n}}"}}
  - {id: 3, module: "trial:act", parameters: {value: "{{2.value}}", broken: "%s"}}
  - {id: 4, module: "trial:act", parameters: {value: "{{3.value}}{{1.n}}"}}
"""


async def test_T13_a_kept_execution_resumes_at_the_failed_module_only(
    installation: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    started = await installation.started(CHAIN % broken)
    assert (await started.run()).status == "warning"
    assert len(await started.kept()) == 3
    broken.unlink()
    await installation.runtime.incomplete.retry_all(by=installation.owner)
    await started.has_ended(4)
    first, *resumed = await started.executions()
    assert first.given("2") == [1, 2, 3]
    assert [ran.log for ran in resumed] == [["3", "4"]] * 3
    assert sorted(ran.given("4")[0] for ran in resumed) == ["11", "22", "33"]
    assert await started.kept() == []


async def test_T13_a_retry_that_fails_again_keeps_the_record_and_counts_the_attempt(
    installation: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    started = await installation.started((CHAIN % broken).replace("total: 3", "total: 1"))
    await started.run()
    [before] = await started.kept()
    await installation.runtime.incomplete.retry(before.id, by=installation.owner)
    await started.has_ended(2)
    [after] = await started.kept()
    assert (after.id, after.attempts) == (before.id, before.attempts + 1)
