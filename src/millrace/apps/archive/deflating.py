"""Compress data and the other way round."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator
from typing import Any

from millrace.appkit import Binary, Call, to_text
from millrace.apps.archive.limits import PIECE_BYTES, Allowance
from millrace.errors import BundleValidationError, DataError

_WINDOWS = {"gzip": 31, "zlib": 15, "raw": -15}
"""How zlib is told the format: the size of its window, with 16 added or a minus before it."""


def deflate(call: Call) -> dict[str, Any]:
    """The data compressed."""
    packer = zlib.compressobj(wbits=_WINDOWS[call.parameters.get("format") or "gzip"])

    def packed() -> Iterator[bytes]:
        for piece in _given(call):
            yield packer.compress(piece)
        yield packer.flush()

    ending = ".gz" if (call.parameters.get("format") or "gzip") == "gzip" else ".deflate"
    return {"data": _result(call, packed(), _name(call) + ending, "application/gzip")}


def inflate(call: Call) -> dict[str, Any]:
    """The data as it was before."""
    return {"data": _result(call, _inflated(call), _name(call, ending=True))}


def _inflated(call: Call) -> Iterator[bytes]:
    """Bounded steps: no input makes one piece larger than `PIECE_BYTES`."""
    window = _WINDOWS[call.parameters.get("format") or "gzip"]
    data = call.parameters["data"]
    # A text in Base64 is longer than its bytes, by a third: that much more is allowed.
    allowance = Allowance(_length(data))
    unpacker = zlib.decompressobj(wbits=window)
    try:
        for piece in _given(call):
            while True:
                content = unpacker.decompress(piece, PIECE_BYTES)
                allowance.spend(len(content))
                yield content
                piece = unpacker.unconsumed_tail
                if unpacker.eof and unpacker.unused_data and window == _WINDOWS["gzip"]:
                    # GZIP may be several parts one after the other.
                    piece, unpacker = unpacker.unused_data, zlib.decompressobj(wbits=window)
                elif not piece and len(content) < PIECE_BYTES:
                    break
    except zlib.error as error:
        raise DataError("the data is damaged, or compressed in another format") from error
    if not unpacker.eof:
        raise DataError("the data ends too early")


def _length(data: Any) -> int:
    if isinstance(data, Binary):
        return data.size_bytes
    return len(data) if isinstance(data, bytes) else len(to_text(data))


def _given(call: Call) -> Iterator[bytes]:
    data = call.parameters["data"]
    if isinstance(data, Binary):
        with call.files.open(data) as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece
        return
    if not isinstance(data, bytes):
        data = _decoded(to_text(data), call.parameters.get("encoding") or "utf8")
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]


def _decoded(text: str, encoding: str) -> bytes:
    if encoding == "utf8":
        return text.encode("utf-8", "replace")
    compact = "".join(text.split())
    try:
        if encoding == "hex":
            return bytes.fromhex(compact)
        return base64.b64decode(compact, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BundleValidationError(f"data: this is not {encoding}") from error


def _result(
    call: Call, pieces: Iterator[bytes], name: str, media_type: str = "application/octet-stream"
) -> Any:
    kind = call.parameters.get("result") or "file"
    if kind == "file":
        with call.files.write(name=name, media_type=media_type) as file:
            for piece in pieces:
                file.write(piece)
        return file.binary
    content = b"".join(pieces)
    if kind == "base64":
        return base64.b64encode(content).decode()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("what came out is not text in UTF-8; choose a file") from error


def _name(call: Call, *, ending: bool = False) -> str:
    data = call.parameters["data"]
    name = data.name if isinstance(data, Binary) else "data"
    for known in (".gz", ".deflate", ".zz"):
        if ending and name.lower().endswith(known) and len(name) > len(known):
            return name[: -len(known)]
    return name
