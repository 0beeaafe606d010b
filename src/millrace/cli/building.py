"""From settings to a runtime."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from millrace.settings import Settings

if TYPE_CHECKING:
    from millrace.runtime.wire import Runtime


async def build_runtime(
    settings: Settings, *, allow: Iterable[tuple[str, int | None]] = ()
) -> Runtime:
    """The wired whole that the settings ask for; not started yet.

    Args:
        settings: All of them.
        allow: Private networks that modules may call besides those of the settings.
    """
    from millrace.appkit.catalog import load_catalog
    from millrace.appkit.guard import Guard
    from millrace.engine import Limits
    from millrace.runtime.wire import build
    from millrace.vault.keyring import read_master

    limits = settings.limits
    key = settings.master_key
    return await build(
        settings.data,
        master=None if key is None else read_master(key.reveal()),
        catalog=load_catalog(*settings.apps),
        guard=Guard(allow=[*map(network, settings.egress.allow), *allow]),
        limits=Limits(
            operations=limits.operations or None,
            transfer_bytes=limits.transfer_bytes or None,
            seconds=limits.seconds or None,
        ),
        executions=limits.executions,
        address=settings.address,
        idle=timedelta(seconds=settings.sessions.idle_seconds),
        absolute=timedelta(seconds=settings.sessions.absolute_seconds),
    )


def network(text: str) -> tuple[str, int | None]:
    """A network as the settings name it.

    ``10.1.0.0/16``, or with one port ``127.0.0.1/32:8025``; an IPv6 network with a port stands in
    brackets.
    """
    found, colon, port = text.rpartition(":")
    if colon and port.isdigit() and (":" not in found or found.endswith("]")):
        return found.strip("[]"), int(port)
    return text.strip("[]"), None
