from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from millrace.errors import StorageUnavailable
from millrace.storage import migrations
from millrace.storage.migrations import HEAD, is_current, migrate
from millrace.storage.statements import load
from millrace.storage.tables import metadata


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def schema(path: Path) -> dict[str, object]:
    """All that SQLite knows of the tables, without the order in which they were written down."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
                " AND name <> 'alembic_version'"
            )
        ]
        found: dict[str, object] = {}
        for name in names:
            found[name] = {
                "columns": connection.execute(f"PRAGMA table_xinfo({name})").fetchall(),
                "keys": sorted(
                    row[2:] for row in connection.execute(f"PRAGMA foreign_key_list({name})")
                ),
                "is": connection.execute(f"PRAGMA table_list({name})").fetchone()[2:],
                "indexes": sorted(
                    (
                        row[2:],
                        tuple(
                            tuple(part[1:3])
                            for part in connection.execute(f"PRAGMA index_xinfo({row[1]})")
                        ),
                    )
                    for row in connection.execute(f"PRAGMA index_list({name})")
                ),
            }
        found["written indexes"] = sorted(
            connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            )
        )
        return found


def test_a_migrated_database_is_the_one_that_the_tables_describe(tmp_path: Path) -> None:
    migrated, described = tmp_path / "migrated.db", tmp_path / "described.db"
    migrate(url(migrated))
    engine = create_engine(url(described))
    metadata.create_all(engine)
    engine.dispose()
    assert schema(migrated) == schema(described)


def test_only_a_database_at_the_newest_revision_is_current(tmp_path: Path) -> None:
    path = tmp_path / "millrace.db"
    assert not is_current(path)
    path.touch()
    assert not is_current(path)
    migrate(url(path))
    assert is_current(path)
    migrate(url(path))
    assert is_current(path)


def test_a_database_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "millrace.db"
    migrate(url(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageUnavailable, match="newer release"):
        is_current(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "millrace.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 50)
    with pytest.raises(StorageUnavailable, match="is not a Millrace database"):
        is_current(path)


def test_a_migration_that_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "millrace.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE webhooks (in_the_way TEXT)")
    with pytest.raises(Exception, match="already exists"):
        migrate(url(path))
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert names == [("webhooks",)]


def test_the_numbers_of_the_revisions_form_one_line_up_to_the_newest() -> None:
    files = sorted((Path(migrations.__file__).parent / "versions").glob("[0-9]*.py"))
    numbers = [file.name.split("_")[0] for file in files]
    assert numbers == [f"{number:04d}" for number in range(1, len(files) + 1)]
    assert numbers[-1] == HEAD


def test_every_table_can_be_written_for_postgresql() -> None:
    dialect = postgresql.dialect()
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


def test_every_row_of_a_team_says_so() -> None:
    without = {table.name for table in metadata.sorted_tables if "team_id" not in table.c}
    assert without == {"teams", "users", "sessions", "sign_in_links", "meta"}


def test_no_hot_statement_looks_through_a_whole_table(tmp_path: Path) -> None:
    path = tmp_path / "millrace.db"
    migrate(url(path))
    with closing(sqlite3.connect(path)) as connection:
        for statement in load("sqlite").values():
            nothing = [0] * len(statement.parameters)
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", nothing).fetchall()
            for *_, step in plan:
                is_scan = step.startswith("SCAN") and "CONSTANT ROW" not in step
                assert not is_scan or "INDEX" in step, f"{statement.name}: {step}"


def test_both_databases_have_the_same_hot_statements_with_the_same_parameters() -> None:
    sqlite, postgres = load("sqlite"), load("postgres")
    assert sqlite.keys() == postgres.keys()
    for name, statement in sqlite.items():
        assert statement.parameters == postgres[name].parameters
