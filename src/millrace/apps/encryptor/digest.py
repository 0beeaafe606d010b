"""Fingerprints of data."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from millrace.appkit import Binary, Call
from millrace.apps.encryptor.material import data_of, encoded, secret_key

PIECE_BYTES = 1024 * 1024


def hash_(call: Call) -> dict[str, Any]:
    """The hash, of a file piece by piece."""
    digest = hashlib.new(call.parameters.get("algorithm") or "sha256", usedforsecurity=False)
    return {"hash": _finished(call, digest)}


def hmac_(call: Call) -> dict[str, Any]:
    """The HMAC, of a file piece by piece."""
    digest = hmac.new(secret_key(call), digestmod=call.parameters.get("algorithm") or "sha256")
    return {"hmac": _finished(call, digest)}


def _finished(call: Call, digest: Any) -> str:
    data = call.parameters["data"]
    if isinstance(data, Binary):
        with call.files.open(data) as stream:
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
    else:
        digest.update(data_of(call))
    return encoded(digest.digest(), call.parameters.get("result") or "hex")
