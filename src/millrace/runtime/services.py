"""What an execution needs of the installation around it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Protocol

from millrace.appkit.call import Dialer, Files
from millrace.appkit.catalog import Catalog
from millrace.appkit.http import CookieJar, HttpClient, Signer
from millrace.clock import Clock
from millrace.runtime.journal import Sealer
from millrace.runtime.live import Live
from millrace.runtime.transaction import InFlight, StoreInfo
from millrace.storage.store import Store


class Connected(Protocol):
    """A connection opened for one execution."""

    fields: Mapping[str, Any]
    """Secrets included; for the app's function only."""

    signer: Signer | None


class Resources(Protocol):
    """Team resources by the names that scenarios use."""

    async def connection(self, team_id: str, name: str, *, used_by: str) -> Connected:
        """Open a connection; InvalidConfigurationError when there is none of that name."""
        ...

    async def data_store(self, team_id: str, name: str) -> StoreInfo:
        """A data store; InvalidConfigurationError when there is none of that name."""
        ...


class TeamVault(Protocol):
    """The keys and files of teams."""

    def sealer(self, team_id: str) -> Sealer:
        """What seals with the team's key."""
        ...

    def files(self, team_id: str) -> Files:
        """The team's files."""
        ...


@dataclass(kw_only=True)
class Services:
    """The installation, as far as executions are concerned; made by ``wire``."""

    store: Store
    clock: Clock
    catalog: Catalog
    http: HttpClient
    dialer: Dialer
    vault: TeamVault
    resources: Resources
    live: Live = field(default_factory=Live)
    in_flight: InFlight = field(default_factory=InFlight)
    park_from_seconds: float = 30.0
    """Longer waits leave memory; the event becomes due again."""

    module_timeout_seconds: float = 40.0
    """For modules whose manifest says nothing. Source: Make, "module timeout", read 2026-11-21."""


@dataclass(kw_only=True)
class CallContext:
    """What the calls of one execution share; see ``appkit.call.Context``."""

    files: Files
    dialer: Dialer
    http: Any
    zone: tzinfo
    log: logging.LoggerAdapter[Any]
    cookies: CookieJar
