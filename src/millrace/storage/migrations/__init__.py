"""Bring a database to the schema that this release expects.

Revisions are numbered files in ``versions/``, one line of them for both databases, forward only.
Each says what it changes, why, and whether the release before it still works on the result. Alembic
and SQLAlchemy take a quarter of a second to import, so an up-to-date database is recognised without
them.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from millrace.errors import StorageUnavailable

HEAD = "0001"
"""The newest revision; a test compares it with the files."""


def is_current(path: Path) -> bool:
    """Whether the SQLite file has the newest schema.

    Raises:
        StorageUnavailable: it is not a database, or a newer release has migrated it.
    """
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:  # no such table: an empty file, or one that was cut short
        return False
    except sqlite3.DatabaseError as error:
        raise StorageUnavailable(f"{path} is not a Millrace database: {error}.") from error
    if row is not None and row[0] > HEAD:
        raise StorageUnavailable(
            f"{path} has schema {row[0]}, this release knows {HEAD}. Start the newer release again."
        )
    return row is not None and row[0] == HEAD


def migrate(url: str) -> None:
    """Run the revisions that a database lacks, all in one transaction.

    Args:
        url: Of SQLAlchemy: ``sqlite:////path/to/file``, ``postgresql+…``.
    """
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine, event

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        # The driver would commit before each statement that changes the schema.
        event.listen(engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
        event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with (
            EnvironmentContext(
                config, script, fn=lambda now, _: script._upgrade_revs("head", now)
            ) as environment,
            engine.connect() as connection,
        ):
            environment.configure(connection=connection, transactional_ddl=True)
            with environment.begin_transaction():
                environment.run_migrations()
    finally:
        engine.dispose()
