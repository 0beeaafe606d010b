"""Sealing with AES-256-GCM: what is sealed can be neither read nor changed, moved nor mixed up.

A sealed text is ``version (1) | nonce (12) | ciphertext | tag (16)``. The additional data binds it
to its team and its context (for example ``connection|<id>``): a body that is copied to another row
does not open.

Nonces. GCM fails completely when a nonce is used twice under one key, so a nonce here is 4 random
bytes drawn at the start of the sealer followed by a counter of 8 bytes that begins at a random
number. Within one sealer nonces cannot repeat; a forked process draws anew. Two sealers (processes,
restarts) of one key collide only if they draw the same 4 bytes *and* their counters overlap: with
counters beginning anywhere in 2^64, for 2^20 sealers that seal 2^32 texts each, the chance is below
2^-24; 96 random bits would reach 2^-24 after 2^36 texts already. The counter is also faster: one
system call less for each seal.
"""

from __future__ import annotations

import os
from itertools import count

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from millrace.errors import VaultError

KEY_BYTES = 32
OVERHEAD_BYTES = 1 + 12 + 16
"""How much longer a sealed text is."""

_VERSION = b"\x01"
_COUNTER_MODULUS = 1 << 64

_forks = [0]
"""How often this process was forked off. Asking for the process id would be a system call each."""


def _forked() -> None:
    _forks[0] += 1


os.register_at_fork(after_in_child=_forked)


class Sealer:
    """Seals and opens with one key.

    Args:
        key: 32 random bytes.
        scope: What all texts of this key belong to; a part of the additional data.
    """

    __slots__ = ("_cipher", "_fork", "_numbers", "_prefix", "_scope")

    def __init__(self, key: bytes, *, scope: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise VaultError(f"A sealing key has {KEY_BYTES} bytes, not {len(key)}.")
        self._cipher = AESGCM(key)
        self._scope = b"millrace1|" + scope + b"|"
        self._begin()

    def _begin(self) -> None:
        self._fork = _forks[0]
        random = os.urandom(12)
        self._prefix = random[:4]
        self._numbers = count(int.from_bytes(random[4:], "big"))

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Seal bytes for one context; the same must be named to open them."""
        if self._fork != _forks[0]:  # a fork has the same counter as its parent
            self._begin()
        number = next(self._numbers) % _COUNTER_MODULUS
        nonce = self._prefix + number.to_bytes(8, "big")
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, self._scope + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Open what `seal` made.

        Raises:
            VaultError: it was changed, belongs to another team or context, or was sealed with
                another key. Which of these is not told, because it cannot be known.
        """
        if sealed[:1] != _VERSION or len(sealed) < OVERHEAD_BYTES:
            raise VaultError("These bytes were not sealed by this version of Millrace.")
        try:
            return self._cipher.decrypt(sealed[1:13], sealed[13:], self._scope + context)
        except InvalidTag:
            raise VaultError(
                "Sealed bytes cannot be opened: changed, or of another place or key."
            ) from None

    def __repr__(self) -> str:
        return "<Sealer>"

    def __reduce__(self) -> str:
        raise TypeError("A Sealer cannot be pickled or copied: it would use a nonce twice.")
