"""Identifiers: made by the client, ordered by time, so that rows can move between databases."""

from __future__ import annotations

import os
import secrets
import time
from random import Random

_random = Random(secrets.randbits(256))  # noqa: S311 - an id must be new, not unguessable
"""Asking the system for each id costs ten times as much; a forked process begins anew."""

os.register_at_fork(after_in_child=lambda: _random.seed(secrets.randbits(256)))


_last = [0]
"""The id given last, without version and variant; the next one is larger."""


def new_id() -> str:
    """A UUID version 7 (RFC 9562) as 32 hexadecimal digits; later ones sort after earlier ones.

    Within one process that holds even inside a millisecond and when the clock is set back. An id is
    not a secret: use `new_secret` for anything that grants access.
    """
    # time_ns is the system clock by intention: an id needs an order, not the execution's time.
    id = time.time_ns() // 1_000_000 << 74 | _random.getrandbits(73)
    if id >> 74 <= _last[0] >> 74:
        # RFC 9562, method 2: a random step keeps neighbours from being guessed by counting.
        id = _last[0] + 1 + _random.getrandbits(32)
    _last[0] = id
    high, low = id >> 62 & 0xFFF, id & ((1 << 62) - 1)
    return f"{id >> 74:012x}7{high:03x}{low | (1 << 63):016x}"


def new_secret(bits: int = 256) -> str:
    """A URL-safe random text with at least `bits` of entropy."""
    return secrets.token_urlsafe((bits + 7) // 8)
