"""What is counted: the two examples that users were told."""

from __future__ import annotations

from typing import Any

FIVE = """
millrace: 1
flow:
  - {id: dropbox, module: "trial:watch", parameters: {total: 2}}
  - id: both
    module: flow:router
    routes:
      - {flow: [{id: photos, module: "trial:act", parameters: {value: "{{dropbox.n}}"}}]}
      - {flow: [{id: facebook, module: "trial:act", parameters: {value: "{{dropbox.n}}"}}]}
"""


async def test_T1_five_operation_seed_case(installation: Any) -> None:
    ran = await installation.run(FIVE)
    assert (ran.status, ran.operations) == ("success", 5)
    assert ran.details.by_module == {"dropbox": 1, "photos": 2, "facebook": 2}


IMAGE = """
millrace: 1
flow:
  - {id: ftp, module: "trial:make-file", parameters: {size: 100000, name: large}}
  - {id: resize, module: "trial:make-file", parameters: {size: 50000, name: small}}
  - {id: large, module: "trial:upload", parameters: {file: "{{ftp.file}}"}}
  - {id: small, module: "trial:upload", parameters: {file: "{{resize.file}}"}}
"""


async def test_T2_150_kB_seed_case(installation: Any) -> None:
    ran = await installation.run(IMAGE)
    assert ran.gave("large") == [{"id": 100_000}]
    assert ran.row.transfer_bytes == 150_000
