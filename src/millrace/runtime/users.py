"""The owner, signing in, sessions and API tokens.

A secret is shown once and kept as its SHA-256: it has 256 bits of chance, so a slow hash would add
nothing. It is found by an index on the hash; how long that takes says nothing about the secret.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from millrace.clock import Clock
from millrace.errors import NotAllowed, NotFound, NotSignedIn, RequestInvalid
from millrace.ids import new_id, new_secret
from millrace.runtime.activity import Activity
from millrace.runtime.actor import ACTIONS, Actor, Role
from millrace.runtime.journal import milliseconds
from millrace.storage import users as stored
from millrace.storage.database import Database

LINK_MINUTES = 15
TOKEN_PREFIX = "mlr_"  # noqa: S105 - says what a leaked token is, to people and secret scanners
_ROLLED_MS = 60_000
"""A session's use is written at most once a minute."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A browser that is signed in."""

    actor: Actor
    csrf: str
    user_name: str
    user_email: str

    def is_csrf(self, given: str) -> bool:
        """Whether this is the session's own token."""
        return hmac.compare_digest(given.encode(), self.csrf.encode())


class Users:
    """People, and how they prove who they are.

    Args:
        database: Where they are.
        clock: For the ends of sessions and links.
        activity: Where deeds are noted.
        new_key: Makes a team's sealing key and answers it wrapped; called once for each new team.
        idle: A session nobody uses ends after this time.
        absolute: Any session ends after this time.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        activity: Activity,
        new_key: Callable[[str], bytes],
        idle: timedelta = timedelta(minutes=20),
        absolute: timedelta = timedelta(hours=12),
    ) -> None:
        self._rows = stored.Users(database)
        self._clock = clock
        self._activity = activity
        self._new_key = new_key
        self._idle_ms = int(idle.total_seconds() * 1000)
        self._absolute_ms = int(absolute.total_seconds() * 1000)

    async def owner(self) -> Actor | None:
        """The owner acting from this machine; None before the first start."""
        for team in sorted(await self._rows.teams(), key=lambda team: team.created_at_ms):
            for member in await self._rows.members(team.id):
                if member.role == "owner":
                    return Actor(
                        team_id=team.id, user_id=member.user_id, role="owner", via="command line"
                    )
        return None

    async def ensure_owner(
        self, *, email: str = "owner@localhost", name: str = "Owner", team: str = "My team"
    ) -> Actor:
        """The owner; made with a team of their own if there is nobody yet."""
        found = await self.owner()
        if found is not None:
            return found
        now = self._now()
        team_id, user_id = new_id(), new_id()
        await self._rows.add_team(
            stored.TeamRow(id=team_id, name=team, created_at_ms=now),
            wrapped_key=self._new_key(team_id),
        )
        await self._rows.add(
            stored.UserRow(
                id=user_id, email=email.lower(), name=name, is_admin=True, created_at_ms=now
            )
        )
        await self._rows.join(
            stored.MembershipRow(team_id=team_id, user_id=user_id, role="owner", created_at_ms=now)
        )
        return Actor(team_id=team_id, user_id=user_id, role="owner", via="command line")

    async def create_sign_in_link(self, *, by: Actor) -> str:
        """The secret of a link that signs the actor's user in once, within 15 minutes."""
        if by.user_id is None:
            raise NotFound("There is nobody to sign in.")
        secret = new_secret()
        now = self._now()
        link = stored.SignInLinkRow(
            token_hash=_hash(secret),
            user_id=by.user_id,
            purpose="sign in",
            created_at_ms=now,
            expires_at_ms=now + LINK_MINUTES * 60_000,
        )
        await self._rows.add_link(link)
        await self._activity.note(by, "users.create_sign_in_link", "user", by.user_id)
        return secret

    async def sign_in(self, secret: str) -> tuple[str, Session]:
        """Use a sign-in link.

        Returns:
            The secret of the new session's cookie, and the session.

        Raises:
            NotSignedIn: the link was used, is too old, or never was.
        """
        now = self._now()
        link = await self._rows.use_link(_hash(secret), now_ms=now)
        if link is None:
            raise NotSignedIn(
                "This link was used already or is too old. Make a new one with: millrace owner-link"
            )
        cookie = new_secret()
        row = stored.SessionRow(
            token_hash=_hash(cookie),
            user_id=link.user_id,
            created_at_ms=now,
            used_at_ms=now,
            expires_at_ms=now + self._absolute_ms,
            csrf_secret=new_secret(),
        )
        await self._rows.begin_session(row)
        session = await self._session(row)
        await self._activity.note(session.actor, "users.sign_in", "user", link.user_id)
        return cookie, session

    async def session(self, secret: str, *, is_active: bool = True) -> Session:
        """The session of a cookie.

        Args:
            secret: The cookie's value.
            is_active: A person did something: the session rolls on.

        Raises:
            NotSignedIn: it has ended, or never was.
        """
        hashed = _hash(secret)
        row = await self._rows.session(hashed) if secret else None
        now = self._now()
        if row is None or now >= min(row.expires_at_ms, row.used_at_ms + self._idle_ms):
            raise NotSignedIn("Sign in first: the session has ended or there is none.")
        session = await self._session(row)
        if is_active and now - row.used_at_ms > _ROLLED_MS:
            await self._rows.touch_session(hashed, at_ms=now)
        return session

    async def sign_out(self, secret: str) -> None:
        """End the session of a cookie; nothing happens if it has ended."""
        await self._rows.end_session(_hash(secret))

    async def by_token(self, token: str) -> Actor:
        """Who an API token acts for.

        Raises:
            NotSignedIn: it was removed, its time is over, or it never was.
        """
        row = None
        if token.startswith(TOKEN_PREFIX):
            row = await self._rows.tokens.by_token(_hash(token))
        now = self._now()
        if row is None or (row.expires_at_ms is not None and now >= row.expires_at_ms):
            raise NotSignedIn("This token is not known here, or its time is over.")
        role = await self._role(row.user_id, row.team_id)
        if row.used_at_ms is None or now - row.used_at_ms > _ROLLED_MS:
            await self._rows.tokens.change(row.team_id, row.id, used_at_ms=now)
        return Actor(
            team_id=row.team_id,
            user_id=row.user_id,
            role=role,
            via="token",
            scopes=frozenset(row.scopes),
        )

    async def create_token(
        self,
        *,
        by: Actor,
        name: str,
        scopes: Iterable[str] = ("*",),
        expires_in: timedelta | None = None,
    ) -> tuple[str, stored.ApiTokenRow]:
        """Make an API token that may do no more than its maker.

        Returns:
            The token, which is shown this once, and what is kept of it.

        Raises:
            RequestInvalid: a scope is not known.
        """
        by.authorize("tokens.change")
        if by.user_id is None:
            raise NotFound("A token acts for a person, and there is none here.")
        wanted = sorted(set(scopes))
        for scope in wanted:
            _check_scope(scope, by)
        token = TOKEN_PREFIX + new_secret()
        now = self._now()
        row = stored.ApiTokenRow(
            team_id=by.team_id,
            id=new_id(),
            user_id=by.user_id,
            name=name,
            token_hash=_hash(token),
            prefix=token[: len(TOKEN_PREFIX) + 4],
            scopes=wanted,
            created_at_ms=now,
            expires_at_ms=(
                None if expires_in is None else now + int(expires_in.total_seconds() * 1000)
            ),
        )
        await self._rows.tokens.add(row)
        await self._activity.note(by, "tokens.create", "token", row.id, name=name, scopes=wanted)
        return token, row

    async def tokens(self, *, by: Actor) -> list[stored.ApiTokenRow]:
        """The tokens of the team, without the secrets: those are not known here."""
        by.authorize("tokens.read")
        return await self._rows.tokens.page(by.team_id, limit=500)

    async def remove_token(self, id: str, *, by: Actor) -> None:
        """Remove a token; whoever holds it is out at once.

        Raises:
            NotFound: the team has no such token.
        """
        by.authorize("tokens.change")
        await self._rows.tokens.remove(by.team_id, id)
        await self._activity.note(by, "tokens.remove", "token", id)

    async def team(self, *, by: Actor) -> stored.TeamRow:
        """The actor's team."""
        by.authorize("account.read")
        return await self._rows.team(by.team_id)

    async def user(self, *, by: Actor) -> stored.UserRow | None:
        """The actor's user; None when no person acts."""
        by.authorize("account.read")
        return None if by.user_id is None else await self._rows.get(by.user_id)

    async def forget_expired(self) -> None:
        """Delete sessions and links whose time is over."""
        await self._rows.forget_expired(now_ms=self._now())

    async def _session(self, row: stored.SessionRow) -> Session:
        user = await self._rows.get(row.user_id)
        memberships = await self._rows.memberships(row.user_id)
        if not user.is_active or not memberships:
            raise NotSignedIn("This account is not active.")
        first = min(memberships, key=lambda member: member.created_at_ms)
        actor = Actor(
            team_id=first.team_id, user_id=user.id, role=cast(Role, first.role), via="session"
        )
        return Session(
            actor=actor, csrf=row.csrf_secret, user_name=user.name, user_email=user.email
        )

    async def _role(self, user_id: str, team_id: str) -> Role:
        user = await self._rows.get(user_id)
        for member in await self._rows.memberships(user_id) if user.is_active else ():
            if member.team_id == team_id:
                return cast(Role, member.role)
        raise NotSignedIn("The person this token acts for is no longer in the team.")

    def _now(self) -> int:
        return milliseconds(self._clock.now())


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _check_scope(scope: str, by: Actor) -> None:
    noun, _, verb = scope.partition(".")
    known = scope == "*" or any(
        scope == action
        or (verb == "*" and action.startswith(f"{noun}."))
        or (noun == "*" and action.endswith(f".{verb}"))
        for action in ACTIONS
    )
    if not known:
        raise RequestInvalid(
            f"There is no scope {scope}. Use an action such as scenarios.run, noun.*, *.read or *"
        )
    if by.scopes is not None and scope not in by.scopes and "*" not in by.scopes:
        raise NotAllowed(f"A token cannot make one that may do more than itself ({scope}).")
