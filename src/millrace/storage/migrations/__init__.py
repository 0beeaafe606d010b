"""Bring a database to the schema that this release expects."""

from __future__ import annotations

from pathlib import Path


def migrate(path: Path) -> None:
    """Bring the SQLite file `path` to the newest schema, making it if there is none."""
    from sqlalchemy import create_engine

    from millrace.storage.tables import metadata

    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
