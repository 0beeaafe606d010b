"""People: teams, users, memberships, and how they prove who they are."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update

from millrace.errors import NotFound
from millrace.storage.database import Database
from millrace.storage.tables import (
    api_tokens,
    memberships,
    sessions,
    sign_in_links,
    team_keys,
    teams,
    users,
)
from millrace.storage.team_rows import TeamRows, of_team


class TeamRow(msgspec.Struct, kw_only=True):
    """Who owns scenarios and all that they use."""

    id: str
    name: str
    timezone: str = "UTC"
    settings: dict[str, Any] = {}
    created_at_ms: int


class UserRow(msgspec.Struct, kw_only=True):
    """A person."""

    id: str
    email: str
    """In lower case."""

    name: str
    locale: str = "en"
    timezone: str = "UTC"
    is_admin: bool = False
    is_active: bool = True
    created_at_ms: int
    last_seen_at_ms: int | None = None


class MembershipRow(msgspec.Struct, kw_only=True):
    """What a person may do in a team."""

    team_id: str
    user_id: str
    role: str
    created_at_ms: int


class SessionRow(msgspec.Struct, kw_only=True):
    """A browser that is signed in."""

    token_hash: bytes
    user_id: str
    created_at_ms: int
    used_at_ms: int
    expires_at_ms: int
    csrf_secret: str


class SignInLinkRow(msgspec.Struct, kw_only=True):
    """An address that signs its holder in, once."""

    token_hash: bytes
    user_id: str
    purpose: str
    created_at_ms: int
    expires_at_ms: int


class ApiTokenRow(msgspec.Struct, kw_only=True):
    """A program's proof that it may act for a person in a team."""

    team_id: str
    id: str
    user_id: str
    name: str
    token_hash: bytes
    prefix: str
    scopes: list[str] = []
    created_at_ms: int
    used_at_ms: int | None = None
    expires_at_ms: int | None = None


class ApiTokens(TeamRows[ApiTokenRow]):
    """The API tokens of each team."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, api_tokens, ApiTokenRow, "API token")

    async def by_token(self, token_hash: bytes) -> ApiTokenRow | None:
        """Whose token this is: the look-up that finds out the team."""
        found = await self._select(api_tokens.c.token_hash == token_hash, limit=1)
        return found[0] if found else None


class Users:
    """People and teams. Who may ask for whom is the runtime's to decide."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.tokens = ApiTokens(database)

    async def add_team(self, team: TeamRow, *, wrapped_key: bytes) -> None:
        """Make a team together with its sealing key: without one nothing of it could be stored."""

        def write(connection: Connection) -> None:
            connection.execute(insert(teams).values(msgspec.structs.asdict(team)))
            connection.execute(
                insert(team_keys).values(
                    team_id=team.id,
                    version=1,
                    wrapped=wrapped_key,
                    created_at_ms=team.created_at_ms,
                )
            )

        await self._database.write(write)

    async def team(self, team_id: str) -> TeamRow:
        """The team.

        Raises:
            NotFound: there is none.
        """
        return await self._one(teams, TeamRow, id=team_id)

    async def teams(self) -> list[TeamRow]:
        """All teams, for what is done to all: retention, the start of the server."""
        return await self._all(teams, TeamRow)

    async def wrapped_key(self, team_id: str) -> bytes:
        """The team's newest sealing key, wrapped.

        Raises:
            NotFound: it was shredded; what it sealed is unreadable for ever.
        """
        statement = (
            select(team_keys.c.wrapped)
            .where(of_team(team_keys, team_id))
            .order_by(team_keys.c.version.desc())
            .limit(1)
        )
        wrapped = await self._database.read(
            lambda connection: connection.execute(statement).scalar()
        )
        if wrapped is None:
            raise NotFound("The team has no sealing key: what it stored cannot be read any more.")
        return wrapped

    async def shred(self, team_id: str) -> None:
        """Delete the team's sealing keys: all that they sealed, in backups too, is unreadable."""
        condition = of_team(team_keys, team_id)
        await self._database.write(
            lambda connection: connection.execute(delete(team_keys).where(condition))
        )

    async def add(self, user: UserRow) -> None:
        """Make a user.

        Raises:
            Conflict: somebody has this e-mail address already.
        """
        await self._insert(users, user)

    async def get(self, user_id: str) -> UserRow:
        """The user.

        Raises:
            NotFound: there is none.
        """
        return await self._one(users, UserRow, id=user_id)

    async def by_email(self, email: str) -> UserRow | None:
        """The user with this address, which is compared in lower case."""
        found = await self._all(users, UserRow, email=email.lower())
        return found[0] if found else None

    async def everyone(self) -> list[UserRow]:
        """All users of the installation."""
        return await self._all(users, UserRow)

    async def change(self, user_id: str, **values: Any) -> None:
        """Change some columns of a user.

        Raises:
            NotFound: there is none.
        """
        await self._update(users, values, id=user_id)

    async def change_team(self, team_id: str, **values: Any) -> None:
        """Change some columns of a team.

        Raises:
            NotFound: there is none.
        """
        await self._update(teams, values, id=team_id)

    async def join(self, membership: MembershipRow) -> None:
        """Let a person into a team, or change what they may do there."""

        def write(connection: Connection) -> None:
            same = (memberships.c.team_id == membership.team_id) & (
                memberships.c.user_id == membership.user_id
            )
            connection.execute(delete(memberships).where(same))
            connection.execute(insert(memberships).values(msgspec.structs.asdict(membership)))

        await self._database.write(write)

    async def leave(self, team_id: str, user_id: str) -> None:
        """Take a person out of a team; nothing happens if they are not in it."""
        await self._delete(memberships, team_id=team_id, user_id=user_id)

    async def memberships(self, user_id: str) -> list[MembershipRow]:
        """The teams of a person."""
        return await self._all(memberships, MembershipRow, user_id=user_id)

    async def members(self, team_id: str) -> list[MembershipRow]:
        """The people of a team."""
        return await self._all(memberships, MembershipRow, team_id=team_id)

    async def begin_session(self, session: SessionRow) -> None:
        """Remember that a browser is signed in."""
        await self._insert(sessions, session)

    async def session(self, token_hash: bytes) -> SessionRow | None:
        """The session of a cookie, also when its time is over: that is for the caller to see."""
        found = await self._all(sessions, SessionRow, token_hash=token_hash)
        return found[0] if found else None

    async def touch_session(self, token_hash: bytes, *, at_ms: int) -> None:
        """Note that a session was used.

        Raises:
            NotFound: it has ended.
        """
        await self._update(sessions, {"used_at_ms": at_ms}, token_hash=token_hash)

    async def end_session(self, token_hash: bytes) -> None:
        """Sign one browser out."""
        await self._delete(sessions, token_hash=token_hash)

    async def end_sessions(self, user_id: str) -> None:
        """Sign a person out everywhere."""
        await self._delete(sessions, user_id=user_id)

    async def add_link(self, link: SignInLinkRow) -> None:
        """Keep a sign-in link until it is used or its time is over."""
        await self._insert(sign_in_links, link)

    async def use_link(self, token_hash: bytes, *, now_ms: int) -> SignInLinkRow | None:
        """Take a sign-in link out: of two who use it at the same time only one gets it.

        Returns:
            None when there is none, it was used, or its time is over.
        """
        here = sign_in_links.c.token_hash == token_hash

        def write(connection: Connection) -> SignInLinkRow | None:
            row = connection.execute(select(sign_in_links).where(here)).first()
            if row is None or connection.execute(delete(sign_in_links).where(here)).rowcount == 0:
                return None
            return SignInLinkRow(**row._mapping)

        link = await self._database.write(write)
        return link if link is not None and link.expires_at_ms > now_ms else None

    async def forget_expired(self, *, now_ms: int) -> None:
        """Delete sessions and sign-in links whose time is over."""

        def write(connection: Connection) -> None:
            for table in (sessions, sign_in_links):
                connection.execute(delete(table).where(table.c.expires_at_ms <= now_ms))

        await self._database.write(write)

    async def _insert(self, table: Table, row: msgspec.Struct) -> None:
        values = msgspec.structs.asdict(row)
        await self._database.write(
            lambda connection: connection.execute(insert(table).values(values))
        )

    async def _update(self, table: Table, values: dict[str, Any], **equal: Any) -> None:
        statement = update(table).filter_by(**equal).values(values)

        def write(connection: Connection) -> None:
            if connection.execute(statement).rowcount == 0:
                raise NotFound("There is no such person, team or session.")

        await self._database.write(write)

    async def _delete(self, table: Table, **equal: Any) -> None:
        statement = delete(table).filter_by(**equal)
        await self._database.write(lambda connection: connection.execute(statement))

    async def _all(self, table: Table, row: type[Any], **equal: Any) -> list[Any]:
        statement = select(table).filter_by(**equal)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [row(**found._mapping) for found in rows]

    async def _one(self, table: Table, row: type[Any], **equal: Any) -> Any:
        found = await self._all(table, row, **equal)
        if not found:
            raise NotFound("There is no such person or team.")
        return found[0]
