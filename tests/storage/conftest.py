from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from millrace.storage.migrations import migrate
from millrace.storage.sqlite import SqliteStore


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the newest schema, to be copied: migrating takes a while."""
    path = tmp_path_factory.mktemp("migrated") / "millrace.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
async def store(tmp_path: Path, migrated: Path) -> AsyncIterator[SqliteStore]:
    path = tmp_path / "millrace.db"
    shutil.copyfile(migrated, path)
    store = SqliteStore.open(path)
    yield store
    await store.close()
