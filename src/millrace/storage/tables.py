"""Every table, once, for SQLite and PostgreSQL.

Conventions: the key of a team's row is ``(team_id, id)``, so that a look-up without a team is not
even an index look-up, and a reference can only point inside the team. Ids are texts made by the
client (`millrace.ids.new_id`), ordered by time: newest first is "id descending", and paging needs
no other index. Instants are ``…_at_ms``: integer milliseconds since 1970 in UTC. ``LargeBinary``
columns are sealed before they come here, except hashes. Hashes are SHA-256 of a random secret.

`events`, `executions` and `segments` have no foreign keys: they are written thousands of times a
second, and PostgreSQL drops their old rows by the day.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_N_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_index",
    }
)

COUNTER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column that is exactly INTEGER."""


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=False, **options)


def _maybe(name: str) -> Column[str]:
    return Column(name, Text)


def _instant(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _maybe_instant(name: str) -> Column[int]:
    return Column(name, BigInteger)


def _number(name: str, default: int = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text(str(default)))


def _flag(name: str, *, default: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=true() if default else false())


def _json(name: str) -> Column[Any]:
    return Column(name, JSON, nullable=False)


def _blob(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable)


def _of_team(name: str, *columns: Any, rowid: bool = True) -> Table:
    """A team's table with the key (team_id, id)."""
    return Table(
        name,
        metadata,
        Column("team_id", Text, ForeignKey("teams.id", ondelete="CASCADE"), nullable=False),
        _text("id"),
        *columns,
        PrimaryKeyConstraint("team_id", "id"),
        sqlite_with_rowid=rowid,
    )


def _inside(column: str, table: str) -> ForeignKeyConstraint:
    """A reference inside the team that goes when its target goes."""
    return ForeignKeyConstraint(
        ["team_id", column], [f"{table}.team_id", f"{table}.id"], ondelete="CASCADE"
    )


def _some(name: str, condition: str, *columns: str) -> Index:
    """An index of only those rows that a statement looks for: the others do not pay for it.

    PostgreSQL's condition stands in `info`, from which its driver makes the option: naming the
    option here would import that dialect at every start (a tenth of a second).
    """
    return Index(name, *columns, sqlite_where=text(condition), info={"where": condition})


# People

teams = Table(
    "teams",
    metadata,
    _text("id", primary_key=True),
    _text("name"),
    _text("timezone", server_default="UTC"),
    _json("settings"),
    _instant("created_at_ms"),
)

users = Table(
    "users",
    metadata,
    _text("id", primary_key=True),
    _text("email"),
    _text("name"),
    _text("locale", server_default="en"),
    _text("timezone", server_default="UTC"),
    _flag("is_admin"),
    _flag("is_active", default=True),
    _instant("created_at_ms"),
    _maybe_instant("last_seen_at_ms"),
    UniqueConstraint("email"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("team_id", Text, ForeignKey("teams.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _text("role"),
    _instant("created_at_ms"),
    PrimaryKeyConstraint("team_id", "user_id"),
    Index(None, "user_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _instant("created_at_ms"),
    _instant("used_at_ms"),
    _instant("expires_at_ms"),
    _text("csrf_secret"),
    Index(None, "user_id"),
    Index(None, "expires_at_ms"),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _text("purpose"),
    _instant("created_at_ms"),
    _instant("expires_at_ms"),
    Index(None, "expires_at_ms"),
)

api_tokens = _of_team(
    "api_tokens",
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _text("name"),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    _text("prefix"),
    _json("scopes"),
    _instant("created_at_ms"),
    _maybe_instant("used_at_ms"),
    _maybe_instant("expires_at_ms"),
)

# Scenarios

scenarios = _of_team(
    "scenarios",
    _text("name"),
    _text("folder", server_default=""),
    _flag("is_active"),
    _maybe("draft_version_id"),
    _maybe("published_version_id"),
    _json("schedule"),
    _maybe_instant("next_due_at_ms"),
    _number("consecutive_errors"),
    _maybe("paused_reason"),
    _instant("created_at_ms"),
    _maybe("created_by"),
    _instant("updated_at_ms"),
    _number("revision", 1),
    _maybe_instant("deleted_at_ms"),
    _some("scenarios_due_index", "is_active", "next_due_at_ms"),
)

scenario_versions = _of_team(
    "scenario_versions",
    _text("scenario_id"),
    _number("number"),
    _text("body"),
    _text("note", server_default=""),
    _instant("created_at_ms"),
    _maybe("created_by"),
    _flag("is_published"),
    _inside("scenario_id", "scenarios"),
    UniqueConstraint("team_id", "scenario_id", "number"),
)

module_states = Table(
    "module_states",
    metadata,
    _text("team_id"),
    _text("scenario_id"),
    _text("module"),
    _blob("body"),
    PrimaryKeyConstraint("team_id", "scenario_id", "module"),
    _inside("scenario_id", "scenarios"),
    sqlite_with_rowid=False,
)

# The inbox and the journal: written by the statements in sql/, one text for both databases.

events = Table(
    "events",
    metadata,
    Column("arrival", COUNTER, primary_key=True, autoincrement=True),
    _text("id"),
    _text("team_id"),
    _maybe("scenario_id"),
    Column("shard", Integer, nullable=False),
    _maybe("lane"),
    _text("kind"),
    _text("state"),
    _blob("payload"),
    _instant("received_at_ms"),
    _instant("due_at_ms"),
    _maybe("execution_id"),
    _number("epoch"),
    _number("attempts"),
    _maybe("origin_id"),
    UniqueConstraint("id"),
    _some(
        "events_turn_index", "state = 'waiting'", "team_id", "scenario_id", "due_at_ms", "arrival"
    ),
    _some("events_parked_index", "state = 'parked'", "due_at_ms"),
    _some("events_running_index", "state = 'running'", "epoch"),
    _some(
        "events_still_index",
        "state IN ('queued', 'parked', 'held')",
        "team_id",
        "scenario_id",
        "state",
    ),
    _some("events_lane_index", "lane IS NOT NULL", "lane", "arrival"),
)

executions = Table(
    "executions",
    metadata,
    _text("team_id"),
    _text("id"),
    _text("scenario_id"),
    _maybe("version_id"),
    _maybe("event_id"),
    _text("kind"),
    _text("status"),
    _instant("started_at_ms"),
    _maybe_instant("finished_at_ms"),
    _maybe_instant("duration_ms"),
    _number("operations"),
    _number("transfer_bytes"),
    _number("cycles"),
    _maybe("error_type"),
    _maybe("error_message"),
    _maybe("error_module"),
    _maybe("origin_id"),
    _blob("summary", nullable=True),
    PrimaryKeyConstraint("team_id", "id"),
    Index("executions_scenario_index", "team_id", "scenario_id", "id"),
    sqlite_with_rowid=False,
)

segments = Table(
    "segments",
    metadata,
    _text("team_id"),
    _text("execution_id"),
    Column("number", Integer, nullable=False),
    _number("first_seq"),
    _number("last_seq"),
    _text("kind"),
    _blob("body"),
    PrimaryKeyConstraint("team_id", "execution_id", "number"),
    sqlite_with_rowid=False,
)

incomplete_executions = _of_team(
    "incomplete_executions",
    _text("scenario_id"),
    _maybe("version_id"),
    _text("execution_id"),
    _instant("created_at_ms"),
    _text("error_type"),
    _text("error_message"),
    _maybe("error_module"),
    _text("state"),
    _maybe_instant("retry_at_ms"),
    _number("attempts"),
    _number("max_attempts"),
    _number("interval_seconds"),
    _number("size_bytes"),
    _maybe_instant("expires_at_ms"),
    _blob("body"),
    _inside("scenario_id", "scenarios"),
    Index("incomplete_executions_scenario_index", "team_id", "scenario_id", "state", "id"),
    _some("incomplete_executions_retry_index", "state = 'waiting'", "retry_at_ms"),
)

# What scenarios use

connections = _of_team(
    "connections",
    _text("name"),
    _text("app"),
    _text("type"),
    _blob("body"),
    _json("hosts"),
    _text("account", server_default=""),
    _json("scopes"),
    _number("revision", 1),
    _maybe_instant("expires_at_ms"),
    _maybe_instant("checked_at_ms"),
    _maybe("problem"),
    _instant("created_at_ms"),
    _maybe("created_by"),
    _instant("updated_at_ms"),
)

webhooks = _of_team(
    "webhooks",
    _text("name"),
    _text("kind", server_default="web"),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    _text("prefix"),
    _maybe("scenario_id"),
    _json("settings"),
    _flag("is_enabled", default=True),
    _flag("is_learning"),
    _blob("body", nullable=True),
    _instant("created_at_ms"),
    _maybe("created_by"),
    _maybe_instant("expires_at_ms"),
    Index("webhooks_scenario_index", "team_id", "scenario_id"),
)

webhook_log = _of_team(
    "webhook_log",
    _text("webhook_id"),
    _instant("received_at_ms"),
    Column("status", Integer, nullable=False),
    _text("method"),
    _text("address"),
    _number("size_bytes"),
    _maybe("event_id"),
    _maybe("problem"),
    _inside("webhook_id", "webhooks"),
    Index("webhook_log_webhook_index", "team_id", "webhook_id", "id"),
    rowid=False,
)

data_stores = _of_team(
    "data_stores",
    _text("name"),
    _maybe("structure_id"),
    _json("structure"),
    _flag("is_strict"),
    _number("max_bytes"),
    _number("record_count"),
    _number("used_bytes"),
    _instant("created_at_ms"),
    _maybe("created_by"),
)

records = Table(
    "records",
    metadata,
    _text("team_id"),
    _text("data_store_id"),
    _text("key"),
    _blob("body"),
    _number("size"),
    _instant("written_at_ms"),
    PrimaryKeyConstraint("team_id", "data_store_id", "key"),
    _inside("data_store_id", "data_stores"),
    sqlite_with_rowid=False,
)

structures = _of_team(
    "structures",
    _text("name"),
    _json("body"),
    _flag("is_strict"),
    _instant("created_at_ms"),
    _instant("updated_at_ms"),
)

keys = _of_team(
    "keys",
    _text("name"),
    _text("type"),
    _blob("body"),
    _text("fingerprint", server_default=""),
    _instant("created_at_ms"),
    _maybe("created_by"),
)

file_uses = Table(
    "file_uses",
    metadata,
    _text("team_id"),
    _text("file_id"),
    _text("execution_id"),
    _number("size_bytes"),
    _instant("created_at_ms"),
    PrimaryKeyConstraint("team_id", "file_id", "execution_id"),
    Index("file_uses_execution_index", "team_id", "execution_id"),
    sqlite_with_rowid=False,
)

# Trust

team_keys = Table(
    "team_keys",
    metadata,
    _text("team_id"),
    Column("version", Integer, nullable=False),
    _blob("wrapped"),
    _instant("created_at_ms"),
    PrimaryKeyConstraint("team_id", "version"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", COUNTER, primary_key=True, autoincrement=True),
    _text("team_id"),
    _instant("at_ms"),
    _text("actor"),
    _text("action"),
    _text("object_kind"),
    _text("object_id"),
    _json("detail"),
    Index(None, "team_id", "seq"),
    sqlite_autoincrement=True,
)

notifications = _of_team(
    "notifications",
    _maybe("user_id"),
    _text("kind"),
    _text("message"),
    _maybe("scenario_id"),
    _instant("created_at_ms"),
    _maybe_instant("read_at_ms"),
    Index("notifications_age_index", "created_at_ms"),
)

meta = Table(
    "meta",
    metadata,
    _text("name", primary_key=True),
    _text("value"),
)
