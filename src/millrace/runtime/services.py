"""What an execution needs of the installation around it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Protocol

from millrace.appkit.call import Dialer, Files
from millrace.appkit.catalog import Catalog
from millrace.appkit.http import BoundHttp, CookieJar, HttpClient, Signer
from millrace.clock import Clock
from millrace.runtime.journal import Sealer
from millrace.runtime.live import Live
from millrace.runtime.transaction import InFlight, StoreInfo
from millrace.storage.store import Store


class Connected(Protocol):
    """A connection opened for one execution."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """Secrets included; for the app's function only."""
        ...

    @property
    def signer(self) -> Signer | None:
        """What signs requests for it."""
        ...


class Resources(Protocol):
    """Team resources by the names that scenarios use."""

    async def connection(self, team_id: str, name: str, *, used_by: str) -> Connected:
        """Open a connection; InvalidConfigurationError when there is none of that name."""
        ...

    async def data_store(self, team_id: str, name: str) -> StoreInfo:
        """A data store; InvalidConfigurationError when there is none of that name."""
        ...

    async def structure(self, team_id: str, name: str) -> dict[str, Any] | None:
        """A data structure, ``{fields, strict}``.

        None when there is none of that name: an export of Make names structures that stayed behind,
        and what a structure would have checked then passes unchecked.
        """
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


class CallContext:
    """What the calls of one execution share (``appkit.call.Context``), made when it is asked for.

    Most executions never call the outside: making a client, a cookie jar and a logger for each of
    them cost a tenth of the whole execution.
    """

    __slots__ = ("_cookies", "_http", "_log", "_services", "execution_id", "files", "zone")

    def __init__(
        self, services: Services, *, files: Files, zone: tzinfo, execution_id: str
    ) -> None:
        self._services = services
        self._http: BoundHttp | None = None
        self._cookies: CookieJar | None = None
        self._log: logging.LoggerAdapter[Any] | None = None
        self.files = files
        self.zone = zone
        self.execution_id = execution_id

    @property
    def dialer(self) -> Dialer:
        """Guarded sockets for protocols that are not HTTP."""
        return self._services.dialer

    @property
    def http(self) -> BoundHttp:
        """The guarded client without a connection."""
        if self._http is None:
            self._http = self.bind(None)
        return self._http

    def bind(self, signer: Signer | None) -> BoundHttp:
        """The guarded client, signing for a connection; all share the execution's cookies."""
        if self._cookies is None:
            self._cookies = CookieJar()
        return self._services.http.bind(files=self.files, signer=signer, cookies=self._cookies)

    @property
    def log(self) -> logging.LoggerAdapter[Any]:
        """A logger that carries the execution's id."""
        if self._log is None:
            logger = logging.getLogger("millrace.module")
            self._log = logging.LoggerAdapter(logger, {"execution_id": self.execution_id})
        return self._log
