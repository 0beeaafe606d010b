"""Webhooks: addresses that receive. What happens at a request is in ``api/hooks.py``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import msgspec

from millrace.clock import Clock
from millrace.errors import Conflict, RequestInvalid
from millrace.ids import new_id, new_secret
from millrace.runtime.activity import Activity
from millrace.runtime.actor import Actor
from millrace.runtime.datastores import checked_structure
from millrace.runtime.journal import milliseconds
from millrace.runtime.named import Named
from millrace.runtime.structures import structure_of
from millrace.runtime.uses import Uses
from millrace.storage.database import Database
from millrace.storage.inbox import Inbox, WaitingEvent
from millrace.storage.webhooks import WebhookLogRow, WebhookRow

TOKEN_BITS = 160
PREFIX_CHARACTERS = 6
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class WebhookSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a webhook takes, and what it makes of it."""

    method: str | None = None
    """The only method taken; None: any."""

    get_headers: bool = False
    """Add ``__IMTHEADERS__``: ``[{name, value}]``."""

    get_method: bool = False
    """Add ``__IMTMETHOD__``."""

    pass_through: bool = False
    """Give the body as one text, ``value``, instead of reading it."""

    allow: tuple[str, ...] = ()
    """Networks that may call, ``192.0.2.0/24`` or one address; empty: everyone."""

    requests: int = 0
    """So many requests are taken in `per_seconds`; 0: no limit."""

    per_seconds: int = 10
    structure: list[dict[str, Any]] = []
    """Fields as ``{name, type, required, fields}``; a request that does not fit is refused."""

    is_strict: bool = False
    """Fields outside the structure are refused too."""


class HookConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as the gateway keeps it in memory."""

    id: str
    team_id: str
    name: str
    scenario_id: str | None
    """The one scenario that it feeds; None: events wait until there is one."""

    is_enabled: bool
    is_learning: bool
    """The next request defines the structure."""

    expires_at_ms: int | None
    settings: WebhookSettings
    networks: tuple[IPv4Network | IPv6Network, ...]
    """Parsed from the settings' `allow`."""


class WebhookView(msgspec.Struct, kw_only=True):
    """What is shown of a webhook; its address was shown once."""

    id: str
    name: str
    prefix: str
    """The first characters of the secret part of its address."""

    scenario_id: str | None
    settings: WebhookSettings
    is_enabled: bool
    is_learning: bool
    created_at_ms: int
    expires_at_ms: int | None


class Webhooks:
    """The webhooks of each team.

    `by_token` is asked for every request that comes in, so all webhooks are kept in memory: some
    500 bytes each. The secret part of an address is looked up by its hash, which takes no longer
    for a secret that is almost right.
    """

    def __init__(
        self,
        database: Database,
        named: Named,
        *,
        clock: Clock,
        activity: Activity,
        uses: Uses,
        address: Callable[[], str],
    ) -> None:
        self._named = named
        self._rows = named.webhooks
        self._inbox = Inbox(database)
        self._clock = clock
        self._activity = activity
        self._uses = uses
        self._address = address
        self._configs: dict[bytes, HookConfig] | None = None

    # -- for the gateway -------------------------------------------------------------------------

    async def by_token(self, token: str) -> HookConfig | None:
        """The webhook of an address; None when there is none, whatever its state otherwise."""
        configs = self._configs
        if configs is None:
            configs = await self.load()
        return configs.get(_hash(token))

    async def load(self) -> dict[bytes, HookConfig]:
        """Read every webhook into memory."""
        rows = await self._rows.everywhere()
        self._configs = {bytes(row.token_hash): _config(row) for row in rows}
        return self._configs

    def forget(self) -> None:
        """Something was changed: read again at the next request."""
        self._configs = None

    async def learn(self, hook: HookConfig, sample: Any) -> None:
        """Take the structure of a request as the webhook's own; learning is over."""
        settings = msgspec.structs.replace(hook.settings, structure=structure_of(sample))
        await self._rows.change(
            hook.team_id, hook.id, is_learning=False, settings=msgspec.to_builtins(settings)
        )
        self.forget()

    async def waiting(self, hook: HookConfig) -> int:
        """How many of its events wait for a scenario, or for their scenario to be activated."""
        return await self._inbox.still(
            hook.team_id, scenario_id=hook.scenario_id, origin_id=hook.id
        )

    async def adopt(self, hook: HookConfig) -> None:
        """Give what came in before a scenario took the webhook to that scenario."""
        if hook.scenario_id is not None:
            await self._inbox.adopt(hook.team_id, origin_id=hook.id, scenario_id=hook.scenario_id)

    async def log(self, row: WebhookLogRow) -> None:
        """Note a request."""
        await self._rows.log.add(row)

    async def bind(self, team_id: str, scenario_id: str, names: Iterable[str]) -> None:
        """Let exactly these webhooks feed a scenario; what waited unbound becomes the scenario's.

        Raises:
            Conflict: one of them feeds another scenario already.
            NotFound: the team has no webhook of a name.
        """
        wanted: dict[str, WebhookRow] = {}
        for name in names:
            row: WebhookRow = await self._named.get(team_id, "webhook", name)
            if row.scenario_id not in (None, scenario_id):
                raise Conflict(
                    f"The webhook {row.name!r} feeds another scenario. A webhook feeds one: "
                    "make a second one, or take it out of the other scenario."
                )
            wanted[row.id] = row
        for bound in await self._rows.page(team_id, scenario_id=scenario_id, limit=1000):
            if bound.id not in wanted:
                await self._rows.change(team_id, bound.id, scenario_id=None)
        for row in wanted.values():
            if row.scenario_id is None:
                await self._rows.change(team_id, row.id, scenario_id=scenario_id)
            await self._inbox.adopt(team_id, origin_id=row.id, scenario_id=scenario_id)
        self.forget()

    # -- for people ------------------------------------------------------------------------------

    async def create(
        self,
        *,
        by: Actor,
        name: str,
        settings: Mapping[str, Any] | None = None,
        is_learning: bool = False,
        expires_in: timedelta | None = None,
    ) -> tuple[str, WebhookView]:
        """Make an address that receives.

        Returns:
            The address, which is shown this once, and the webhook.

        Raises:
            RequestInvalid: a setting is wrong.
            Conflict: a webhook of this name exists.
        """
        by.authorize("webhooks.change")
        await self._check_name(by.team_id, name)
        token = new_secret(TOKEN_BITS)
        now = milliseconds(self._clock.now())
        row = WebhookRow(
            team_id=by.team_id,
            id=new_id(),
            name=name,
            token_hash=_hash(token),
            prefix=token[:PREFIX_CHARACTERS],
            settings=msgspec.to_builtins(_settings(settings or {})),
            is_learning=is_learning,
            created_at_ms=now,
            created_by=by.user_id,
            expires_at_ms=_later(now, expires_in),
        )
        await self._rows.add(row)
        self.forget()
        await self._activity.note(by, "webhooks.create", "webhook", row.id, name=name)
        return f"{self._address()}/hooks/{token}", _view(row)

    async def all(self, *, by: Actor) -> list[WebhookView]:
        """Every webhook of the team."""
        by.authorize("webhooks.read")
        return [_view(row) for row in await self._rows.page(by.team_id, limit=1000)]

    async def get(self, id: str, *, by: Actor) -> WebhookView:
        """One webhook.

        Raises:
            NotFound: the team has no such webhook.
        """
        by.authorize("webhooks.read")
        return _view(await self._rows.get(by.team_id, id))

    async def change(
        self,
        id: str,
        *,
        by: Actor,
        name: str | None = None,
        settings: Mapping[str, Any] | None = None,
        is_enabled: bool | None = None,
        is_learning: bool | None = None,
    ) -> WebhookView:
        """Change what is given; settings that are not named stay.

        Raises:
            NotFound: the team has no such webhook.
            RequestInvalid: a setting is wrong.
            Conflict: a webhook of this name exists.
        """
        by.authorize("webhooks.change")
        row = await self._rows.get(by.team_id, id)
        values: dict[str, Any] = {"is_enabled": is_enabled, "is_learning": is_learning}
        if name is not None and name != row.name:
            await self._check_name(by.team_id, name)
            values["name"] = name
        if settings is not None:
            values["settings"] = msgspec.to_builtins(_settings({**row.settings, **settings}))
        values = {key: value for key, value in values.items() if value is not None}
        if values:
            await self._rows.change(by.team_id, id, **values)
            self.forget()
            await self._activity.note(by, "webhooks.change", "webhook", id, fields=sorted(values))
        return _view(await self._rows.get(by.team_id, id))

    async def renew(self, id: str, *, by: Actor) -> str:
        """Give a webhook a new address; the old one is gone at once.

        Raises:
            NotFound: the team has no such webhook.
        """
        by.authorize("webhooks.change")
        await self._rows.get(by.team_id, id)
        token = new_secret(TOKEN_BITS)
        await self._rows.change(
            by.team_id, id, token_hash=_hash(token), prefix=token[:PREFIX_CHARACTERS]
        )
        self.forget()
        await self._activity.note(by, "webhooks.renew", "webhook", id)
        return f"{self._address()}/hooks/{token}"

    async def delete(self, id: str, *, by: Actor, force: bool = False) -> list[dict[str, str]]:
        """Remove a webhook; its address answers as if it had never been.

        Returns:
            The scenarios that used it.

        Raises:
            NotFound: the team has no such webhook.
            Conflict: scenarios use it, and `force` was not given.
        """
        by.authorize("webhooks.change")
        row = await self._rows.get(by.team_id, id)
        used = await self._uses.of(by.team_id, "webhook", id, row.name)
        if used and not force:
            names = ", ".join(scenario["name"] for scenario in used)
            raise Conflict(f"These scenarios use the webhook: {names}.")
        await self._rows.remove(by.team_id, id)
        self.forget()
        await self._activity.note(by, "webhooks.delete", "webhook", id, name=row.name)
        return used

    async def queue(
        self, id: str, *, by: Actor, after: int = 0, limit: int = 50
    ) -> list[WaitingEvent]:
        """The events that came in here and are not carried out yet, oldest first.

        Raises:
            NotFound: the team has no such webhook.
        """
        by.authorize("webhooks.read")
        await self._rows.get(by.team_id, id)
        return await self._inbox.waiting_at(by.team_id, origin_id=id, after=after, limit=limit)

    async def discard(self, id: str, event_id: str, *, by: Actor) -> None:
        """Take one waiting event out of the queue.

        Raises:
            NotFound: it is not waiting here (any more).
        """
        by.authorize("webhooks.change")
        await self._inbox.discard(by.team_id, origin_id=id, event_id=event_id)
        await self._activity.note(by, "webhooks.discard", "webhook", id, event_id=event_id)

    async def requests(
        self, id: str, *, by: Actor, before: str | None = None, limit: int = 50
    ) -> list[WebhookLogRow]:
        """What arrived, newest first.

        Raises:
            NotFound: the team has no such webhook.
        """
        by.authorize("webhooks.read")
        await self._rows.get(by.team_id, id)
        return await self._rows.log.page(by.team_id, before=before, limit=limit, webhook_id=id)

    async def _check_name(self, team_id: str, name: str) -> None:
        if not name.strip():
            raise RequestInvalid("A webhook needs a name.")
        if await self._rows.page(team_id, name=name, limit=1):
            raise Conflict(f"There is a webhook called {name!r} already.")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _later(now_ms: int, span: timedelta | None) -> int | None:
    return None if span is None else now_ms + int(span.total_seconds() * 1000)


def _settings(given: Mapping[str, Any]) -> WebhookSettings:
    """Settings, checked.

    Raises:
        RequestInvalid: one is wrong.
    """
    try:
        settings = msgspec.convert(dict(given), WebhookSettings)
        for network in settings.allow:
            ip_network(network, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise RequestInvalid(f"Settings of the webhook: {error}") from error
    if settings.method is not None and settings.method not in METHODS:
        raise RequestInvalid(f"A webhook takes {', '.join(sorted(METHODS))}, or any method.")
    if settings.requests < 0 or settings.per_seconds < 1:
        raise RequestInvalid("A rate limit is a number of requests in at least one second.")
    settings.structure = checked_structure(settings.structure)
    return settings


def _config(row: WebhookRow) -> HookConfig:
    settings = _settings(row.settings)
    return HookConfig(
        id=row.id,
        team_id=row.team_id,
        name=row.name,
        scenario_id=row.scenario_id,
        is_enabled=row.is_enabled,
        is_learning=row.is_learning,
        expires_at_ms=row.expires_at_ms,
        settings=settings,
        networks=tuple(ip_network(network, strict=False) for network in settings.allow),
    )


def _view(row: WebhookRow) -> WebhookView:
    return WebhookView(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scenario_id=row.scenario_id,
        settings=_settings(row.settings),
        is_enabled=row.is_enabled,
        is_learning=row.is_learning,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
    )
