from __future__ import annotations

from typing import Any

import pytest

STORE = """
millrace: 1
settings: {auto_commit: %s, keep_incomplete: none}
flow:
  - {id: 1, module: "trial:search", parameters: {bundles: [{n: 1}]}}
  - id: 2
    module: data-store:add
    data_store: things
    parameters: {key: a, data: {n: "{{1.n}}"}}
  - {id: 3, module: "trial:act", parameters: {value: 1, fails: [%s]}}
"""


@pytest.mark.parametrize(
    ("auto_commit", "fails", "keys"),
    [("false", "1", []), ("true", "1", ["a"]), ("false", "", ["a"]), ("true", "", ["a"])],
)
async def test_T10_a_write_before_a_failing_module_is_undone_unless_it_was_committed(
    installation: Any, auto_commit: str, fails: str, keys: list[str]
) -> None:
    runtime, owner = installation.runtime, installation.owner
    store = await runtime.data_stores.create(by=owner, name="things")
    ran = await installation.run(STORE % (auto_commit, fails))
    assert ran.status == ("error" if fails else "success")
    records = await runtime.data_stores.records(store.id, by=owner)
    assert [record.key for record in records] == keys
