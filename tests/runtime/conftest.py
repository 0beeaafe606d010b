from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from millrace.runtime.actor import Actor
from millrace.runtime.wire import Runtime, build
from millrace.storage import users as stored


class FakeClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def runtime(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Runtime]:
    runtime = await build(tmp_path / "data", clock=clock)
    await runtime.start(is_scheduling=False)
    yield runtime
    await runtime.close()


@pytest.fixture
async def owner(runtime: Runtime) -> Actor:
    return await runtime.users.ensure_owner()


@pytest.fixture
async def stranger(runtime: Runtime, owner: Actor) -> Actor:
    """The owner of another team."""
    rows = stored.Users(runtime.store)
    team = stored.TeamRow(id="f" * 32, name="Others", created_at_ms=1)
    await rows.add_team(team, wrapped_key=runtime.keys.new(team.id))
    return replace(owner, team_id=team.id, user_id=None)
