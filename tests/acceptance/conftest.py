from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from millrace.appkit.catalog import Catalog
from millrace.runtime.wire import build

from .installation import FakeClock, Installation

TRIAL = Path(__file__).parent / "trial"


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    clock = FakeClock()
    runtime = await build(tmp_path / "data", clock=clock, catalog=Catalog.load(TRIAL))
    await runtime.start(is_scheduling=False)
    yield Installation(runtime, clock, await runtime.users.ensure_owner())
    await runtime.close()
