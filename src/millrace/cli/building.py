"""From settings to a runtime."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from millrace.errors import SettingsInvalid
from millrace.settings import Settings

if TYPE_CHECKING:
    from millrace.appkit.catalog import Catalog
    from millrace.runtime.wire import Runtime

DATABASE = "millrace.db"
"""The file in the data folder; `wire` says so."""


async def build_runtime(
    settings: Settings, *, allow: Iterable[tuple[str, int | None]] = ()
) -> Runtime:
    """The wired whole that the settings ask for; not started yet.

    Args:
        settings: All of them.
        allow: Private networks that modules may call besides those of the settings.
    """
    from millrace.appkit.guard import Guard
    from millrace.engine import Limits
    from millrace.runtime.retention import Kept
    from millrace.runtime.wire import build
    from millrace.vault.keyring import read_master

    limits, history = settings.limits, settings.history
    key = settings.master_key
    return await build(
        settings.data,
        master=None if key is None else read_master(key.reveal()),
        catalog=the_catalog(settings),
        guard=Guard(allow=[*allowed(settings), *allow]),
        limits=Limits(
            operations=limits.operations or None,
            transfer_bytes=limits.transfer_bytes or None,
            seconds=limits.seconds or None,
        ),
        executions=limits.executions,
        kept=Kept(
            details=timedelta(days=history.details_days),
            executions=timedelta(days=history.executions_days),
            activity=timedelta(days=history.activity_days),
            webhook_log=timedelta(days=history.webhook_days),
            notifications=timedelta(days=history.notification_days),
        ),
        address=settings.address,
        idle=timedelta(seconds=settings.sessions.idle_seconds),
        absolute=timedelta(seconds=settings.sessions.absolute_seconds),
    )


def the_catalog(settings: Settings) -> Catalog:
    """The apps of this installation.

    Raises:
        ManifestInvalid: a folder of the settings holds no app, or two apps have the same name.
    """
    from millrace.appkit.catalog import load_catalog

    return load_catalog(*settings.apps)


def allowed(settings: Settings) -> list[tuple[str, int | None]]:
    """The private networks that modules may call.

    Raises:
        SettingsInvalid: one is no network.
    """
    return [network(text) for text in settings.egress.allow]


def network(text: str) -> tuple[str, int | None]:
    """A network as people name it.

    ``10.1.0.0/16``, or with one port ``127.0.0.1/32:8025``; an IPv6 network with a port stands in
    brackets.

    Raises:
        SettingsInvalid: it is no network.
    """
    from ipaddress import ip_network

    found, colon, port = text.rpartition(":")
    if not (colon and port.isdigit() and (":" not in found or found.endswith("]"))):
        found, port = text, ""
    found = found.strip("[]")
    try:
        ip_network(found, strict=False)
    except ValueError as error:
        raise SettingsInvalid(f"{text} is no network to allow: {error}") from error
    return found, int(port) if port else None
