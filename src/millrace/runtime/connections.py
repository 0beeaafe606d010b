"""Connections: one account at one service. Their secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from inspect import isawaitable
from typing import Any

import msgspec

from millrace.appkit.auth import hosts_of
from millrace.appkit.call import Call
from millrace.appkit.manifest import ConnectionManifest
from millrace.appkit.render import holds, render, render_url
from millrace.appkit.run import prepare_parameters
from millrace.engine.traits import ModuleTraits
from millrace.errors import (
    BundleValidationError,
    Conflict,
    InvalidAccessTokenError,
    ManifestInvalid,
    ModuleError,
    NotFound,
    RequestInvalid,
)
from millrace.ids import new_id
from millrace.runtime.activity import Activity
from millrace.runtime.actor import Actor
from millrace.runtime.journal import encode, milliseconds
from millrace.runtime.named import Named
from millrace.runtime.resources import OpenConnection, TeamResources, connection_context
from millrace.runtime.services import CallContext, Services
from millrace.runtime.uses import Uses
from millrace.storage.connections import ConnectionRow

TEST_SECONDS = 20


class ConnectionView(msgspec.Struct, kw_only=True):
    """What may be shown of a connection."""

    id: str
    name: str
    app: str
    type: str
    account: str
    hosts: list[str]
    fields: dict[str, Any]
    """Those that are not secret."""

    problem: str | None
    """Why the last test failed; None: it did not, or there was none."""

    checked_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int
    revision: int


class Connections:
    """The connections of each team."""

    def __init__(
        self,
        named: Named,
        *,
        resources: TeamResources,
        services: Services,
        activity: Activity,
        uses: Uses,
    ) -> None:
        self._resources = resources
        self._rows = named.connections
        self._services = services
        self._catalog = services.catalog
        self._clock = services.clock
        self._activity = activity
        self._uses = uses

    async def create(
        self, *, by: Actor, app: str, type: str, name: str, fields: Mapping[str, Any]
    ) -> ConnectionView:
        """Keep a connection.

        Args:
            by: Who asks.
            app: The app whose connection it is.
            type: The app's word for it: ``basic``.
            name: Unique in the team: what scenarios call it.
            fields: What the app asks for, secrets in plain; sealed before they are kept.

        Raises:
            RequestInvalid: there is no such app or type, or a field is wrong.
            Conflict: a connection of this name exists.
        """
        by.authorize("connections.change")
        manifest = self._manifest(app, type)
        given = _checked(manifest, fields)
        await self._check_name(by.team_id, name)
        now = milliseconds(self._clock.now())
        id = new_id()
        row = ConnectionRow(
            team_id=by.team_id,
            id=id,
            name=name,
            app=app,
            type=type,
            body=self._seal(by.team_id, id, given),
            hosts=list(hosts_of(manifest, given)),
            created_at_ms=now,
            created_by=by.user_id,
            updated_at_ms=now,
        )
        await self._rows.add(row)
        self._resources.forget(by.team_id)
        await self._activity.note(by, "connections.create", "connection", id, app=app, name=name)
        return self._view(row)

    async def all(self, *, by: Actor) -> list[ConnectionView]:
        """Every connection of the team, without its secrets."""
        by.authorize("connections.read")
        return [self._view(row) for row in await self._rows.page(by.team_id, limit=1000)]

    async def get(self, id: str, *, by: Actor) -> ConnectionView:
        """One connection, without its secrets.

        Raises:
            NotFound: the team has no such connection.
        """
        by.authorize("connections.read")
        return self._view(await self._rows.get(by.team_id, id))

    async def change(
        self,
        id: str,
        *,
        by: Actor,
        name: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> ConnectionView:
        """Rename a connection or fill it in again.

        Secrets stay out of sight even here: a secret that is not given again is kept only as long
        as the hosts it may be sent to stay the same.

        Raises:
            NotFound: the team has no such connection.
            RequestInvalid: a field is wrong, or the hosts changed and the secrets were not given.
            Conflict: a connection of this name exists, or it was changed in the meantime.
        """
        by.authorize("connections.change")
        row = await self._rows.get(by.team_id, id)
        values: dict[str, Any] = {"updated_at_ms": milliseconds(self._clock.now())}
        if name is not None and name != row.name:
            await self._check_name(by.team_id, name)
            values["name"] = name
        if fields is not None:
            manifest = self._manifest(row.app, row.type)
            before = dict(self._resources.open(row).fields)
            given = _checked(manifest, {**before, **fields})
            hosts = list(hosts_of(manifest, given))
            secrets = {parameter.name for parameter in manifest.fields if parameter.secret}
            if hosts != row.hosts and (secrets & before.keys()) - fields.keys():
                raise RequestInvalid(
                    "The connection would send its secrets to another host. Fill them in again."
                )
            values |= {
                "body": self._seal(by.team_id, id, given),
                "hosts": hosts,
                "problem": None,
                "checked_at_ms": None,
            }
        await self._rows.change(by.team_id, id, revision=row.revision, **values)
        self._resources.forget(by.team_id, connection_id=id)
        await self._activity.note(
            by, "connections.change", "connection", id, fields=sorted(fields or ())
        )
        return self._view(await self._rows.get(by.team_id, id))

    async def test(self, id: str, *, by: Actor) -> ConnectionView:
        """Ask the service whether it accepts the connection; the answer is kept with it.

        Raises:
            NotFound: the team has no such connection.
        """
        by.authorize("connections.test")
        row = await self._rows.get(by.team_id, id)
        problem, account = None, row.account
        try:
            account = await self._account(row, self._resources.open(row)) or account
        except ModuleError as error:
            problem = error.message
        await self._rows.change(
            by.team_id,
            id,
            problem=problem,
            account=account,
            checked_at_ms=milliseconds(self._clock.now()),
        )
        return self._view(await self._rows.get(by.team_id, id))

    async def used_by(self, id: str, *, by: Actor) -> list[dict[str, str]]:
        """The scenarios that use a connection, as id and name."""
        by.authorize("connections.read")
        row = await self._rows.get(by.team_id, id)
        return await self._uses.of(by.team_id, "connection", row.id, row.name)

    async def delete(self, id: str, *, by: Actor, force: bool = False) -> list[dict[str, str]]:
        """Remove a connection with its secrets.

        Args:
            id: Which.
            by: Who asks.
            force: Remove it though scenarios use it.

        Returns:
            The scenarios that used it.

        Raises:
            NotFound: the team has no such connection.
            Conflict: scenarios use it, and `force` was not given.
        """
        by.authorize("connections.change")
        used = await self.used_by(id, by=by)
        if used and not force:
            names = ", ".join(scenario["name"] for scenario in used)
            raise Conflict(f"These scenarios use the connection: {names}.")
        await self._rows.remove(by.team_id, id)
        self._resources.forget(by.team_id, connection_id=id)
        await self._activity.note(by, "connections.delete", "connection", id)
        return used

    async def _account(self, row: ConnectionRow, opened: OpenConnection) -> str:
        """Ask the service; gives the name of the account when the app knows how to read it."""
        manifest = self._manifest(row.app, row.type)
        test = manifest.test
        if test is None:
            return ""
        names: dict[str, Any] = {"connection": dict(opened.fields)}
        context = CallContext(
            self._services, files=self._services.vault.files(row.team_id), zone=UTC, execution_id=""
        )
        http = context.bind(opened.signer)
        if test.call:
            app = self._catalog.app(row.app)
            if app is None:
                raise NotFound(f"The app {row.app} is not installed.")
            call = Call(
                parameters={},
                context=context,
                now=self._clock.now(),
                connection=opened.fields,
                http=http,
            )
            answer = app.function(test.call)
            result = await _in_thread_or_here(answer, call)
            names["body"] = result
        elif test.request is not None:
            request = test.request
            answered = await http.request(
                request.method,
                render_url(request.url, names),
                headers=render(request.headers, names),
                query=render(request.query, names),
                json=render(request.json, names),
                timeout_seconds=TEST_SECONDS,
                max_bytes=1024 * 1024,
            )
            names["status"] = answered.status
            is_json = "json" in answered.headers.get("content-type", "")
            names["body"] = answered.json() if is_json else answered.text
            if answered.status >= 400 or not holds(test.valid, names):
                raise InvalidAccessTokenError(
                    f"The service answered {answered.status}: it does not accept the connection."
                )
        return str(render(test.label, names) or "") if test.label else ""

    def _manifest(self, app: str, type: str) -> ConnectionManifest:
        try:
            return self._catalog.connection(type, app=app)
        except ManifestInvalid as error:
            raise RequestInvalid(f"{error.message}.") from error

    async def _check_name(self, team_id: str, name: str) -> None:
        if not name.strip():
            raise RequestInvalid("A connection needs a name.")
        if await self._rows.page(team_id, name=name, limit=1):
            raise Conflict(f"There is a connection called {name!r} already.")

    def _seal(self, team_id: str, id: str, fields: Mapping[str, Any]) -> bytes:
        return self._services.vault.sealer(team_id).seal(
            encode(dict(fields)), connection_context(id)
        )

    def _view(self, row: ConnectionRow) -> ConnectionView:
        shown: dict[str, Any] = {}
        try:
            manifest = self._catalog.connection(row.type, app=row.app)
            fields = self._resources.open(row).fields
            public = {parameter.name for parameter in manifest.fields if not parameter.secret}
            shown = {name: value for name, value in fields.items() if name in public}
        except ManifestInvalid:
            pass  # The app was taken away; what cannot be told from a secret is not shown.
        return ConnectionView(
            id=row.id,
            name=row.name,
            app=row.app,
            type=row.type,
            account=row.account,
            hosts=row.hosts,
            fields=shown,
            problem=row.problem,
            checked_at_ms=row.checked_at_ms,
            created_at_ms=row.created_at_ms,
            updated_at_ms=row.updated_at_ms,
            revision=row.revision,
        )


def _checked(manifest: ConnectionManifest, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as the app asks for them."""
    traits = ModuleTraits(
        name="connection",
        parameters=tuple(parameter.traits() for parameter in manifest.fields),
    )
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    try:
        return prepare_parameters(traits, given, zone=UTC)
    except BundleValidationError as error:
        raise RequestInvalid(f"{manifest.label}: {error.message}") from error


async def _in_thread_or_here(function: Any, call: Call) -> Any:
    import asyncio
    from inspect import iscoroutinefunction

    if iscoroutinefunction(function):
        return await function(call)
    result = await asyncio.get_running_loop().run_in_executor(None, function, call)
    return await result if isawaitable(result) else result
