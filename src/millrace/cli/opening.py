"""Open an installation as the settings say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from millrace.appkit.catalog import Catalog, load_catalog
from millrace.appkit.guard import Guard
from millrace.engine import Limits
from millrace.errors import SettingsInvalid
from millrace.runtime.wire import Runtime, build
from millrace.settings import Settings
from millrace.vault.keyring import read_master

DATABASE = "millrace.db"


async def open_runtime(
    settings: Settings, *, data: Path | None = None, allow: tuple[tuple[str, int | None], ...] = ()
) -> Runtime:
    """The wired whole, not yet started.

    Args:
        settings: All of them.
        data: Another data folder than the settings'.
        allow: Private networks that modules may call, besides the settings'.
    """
    limits = settings.limits
    return await build(
        data or settings.data,
        master=None if settings.master_key is None else read_master(settings.master_key.reveal()),
        catalog=the_catalog(settings),
        guard=Guard(allow=(*allowed(settings), *allow)),
        limits=Limits(
            operations=limits.operations or None,
            transfer_bytes=limits.transfer_bytes or None,
            seconds=limits.seconds or None,
        ),
        address=settings.address,
        idle=timedelta(seconds=settings.sessions.idle_seconds),
        absolute=timedelta(seconds=settings.sessions.absolute_seconds),
    )


def the_catalog(settings: Settings) -> Catalog:
    """The apps of this installation."""
    return load_catalog(*settings.apps)


def allowed(settings: Settings) -> tuple[tuple[str, int | None], ...]:
    """Private networks that modules may call, as ``Guard`` wants them.

    Raises:
        SettingsInvalid: one is no network.
    """
    from ipaddress import ip_network

    found: list[tuple[str, int | None]] = []
    for given in settings.egress.allow:
        network, colon, port = given.rpartition(":")
        # 10.0.0.0/8 | 10.0.0.0/8:8025 | fd00::/8 | [fd00::]/8:8025
        if not colon or "/" not in network or not port.isdigit():
            network, port = given, ""
        network = network.replace("[", "").replace("]", "")
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise SettingsInvalid(f"MILLRACE_EGRESS__ALLOW: {error}") from error
        found.append((network, int(port) if port else None))
    return tuple(found)
