"""The journal of one execution: what was asked, what came of it; also the history people read.

A *record* is one line of it. Records are encoded once, as they happen, into a buffer; the buffer
becomes a *segment* (compressed, sealed, written) when the driver needs what was recorded to be on
disk, or when enough has gathered. The encoding is MessagePack: it keeps dates, bytes and numbers
apart, which JSON does not, and it is about as fast as copying.

======  =========================================  ======================================
kind    meaning                                     replayed as
======  =========================================  ======================================
a       a module answered (a page of) bundles       ModuleAnswered
f       a module failed                             ModuleFailed
i       a module is about to act outside            (tells a recovery what may have happened)
n       the engine did an operation itself          (nothing: it is done again)
w       an instant was reached                      TimeReached
y       the engine was told to go on                Continued
c, r    committed, rolled back                      Committed, RolledBack
k       an incomplete execution was kept or not     Kept
x       somebody stopped the execution              Cancelled
======  =========================================  ======================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple, Protocol

import msgspec
import zstandard

from millrace.engine.events import (
    Cancelled,
    Committed,
    Continued,
    Event,
    Failure,
    Kept,
    ModuleAnswered,
    ModuleFailed,
    RolledBack,
    TimeReached,
)
from millrace.expressions.scope import ERASE, Marker
from millrace.expressions.values import Binary
from millrace.storage.store import Segment, SegmentKind

COMPRESS_FROM_BYTES = 300
"""Below that there is little to save."""

SEGMENT_BYTES = 64 * 1024
"""A segment is closed at this size: large enough to compress well, small enough to keep."""

_BINARY, _MARKER = 1, 2


class Sealer(Protocol):
    """Seals bytes with a team's key; `vault` makes them."""

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Seal."""
        ...

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Open; VaultError when it was sealed otherwise."""
        ...


# -- values as bytes ------------------------------------------------------------------------------

_noticed: list[tuple[str, int]] = []
"""Files met by the encoder since it was last cleared; encoding is never interrupted."""


def _encode_hook(value: Any) -> Any:
    if value.__class__ is Binary:
        _noticed.append((value.id, value.size_bytes))
        plain = (value.id, value.name, value.size_bytes, value.media_type)
        return msgspec.msgpack.Ext(_BINARY, msgspec.msgpack.encode(plain))
    if value.__class__ is Marker:
        return msgspec.msgpack.Ext(_MARKER, value.name.encode())
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is not a value")


def _decode_hook(code: int, data: memoryview) -> Any:
    if code == _BINARY:
        id, name, size_bytes, media_type = msgspec.msgpack.decode(data)
        return Binary(id=id, name=name, size_bytes=size_bytes, media_type=media_type)
    if code == _MARKER:
        return ERASE
    raise ValueError(f"unknown extension {code}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_hook)
_decoder = msgspec.msgpack.Decoder(ext_hook=_decode_hook)


def encode(value: Any) -> bytes:
    """Any value a bundle may hold as bytes."""
    try:
        return _encoder.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return _encoder.encode(_encodable(value))


def decode(data: bytes) -> Any:
    """What was encoded."""
    return _decoder.decode(data)


def _encodable(value: Any) -> Any:
    """The same value without what MessagePack cannot say: huge integers and lone surrogates."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 10**308 else str(value)
    if isinstance(value, dict):
        return {_encodable(k): _encodable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(v) for v in value]
    return value


# -- records --------------------------------------------------------------------------------------


class Record(NamedTuple):
    """One line of the journal."""

    kind: str
    call: int
    module: str
    at: datetime
    took_us: int = 0
    """Microseconds the module worked."""

    input: Any = None
    output: Any = None
    """Bundles; of an aggregator's input the gathered bundles come under ``gathered``."""

    failure: Any = None
    extra: Any = None
    """Kind by kind: has_more and sizes of an answer, the key of an intent, warnings …"""


def event_of(record: Record) -> Event | None:
    """What the interpreter was told when this was written; None for what it need not be told."""
    kind, call, at = record.kind, record.call, record.at
    if kind == "a":
        extra = record.extra or {}
        return ModuleAnswered(
            call,
            at,
            record.output,
            extra.get("more", False),
            extra.get("transfer", 0),
            tuple((id, size) for id, size in extra.get("files", ())),
        )
    if kind == "f":
        return ModuleFailed(call, at, Failure(*record.failure))
    if kind == "k":
        return Kept(call, at, record.output)
    if kind == "x":
        return Cancelled(at, record.output)
    told = {"w": TimeReached, "y": Continued, "c": Committed, "r": RolledBack}.get(kind)
    return None if told is None else told(call, at)


class Journal:
    """Gathers the records of one execution into segments.

    Args:
        team_id: Of the segments' rows.
        execution_id: Of the segments' rows, and bound into the seal.
        sealer: Seals a segment's bytes.
        numbers: Gives the segments their numbers; behind those already written when resuming.
        kind: ``records``, or ``secret`` for those of a confidential execution.
    """

    __slots__ = (
        "_buffer",
        "_count",
        "_execution_id",
        "_first",
        "_kind",
        "_last",
        "_numbers",
        "_sealer",
        "_team_id",
    )  # fmt: skip

    def __init__(
        self,
        *,
        team_id: str,
        execution_id: str,
        sealer: Sealer,
        numbers: Iterator[int] | None = None,
        kind: SegmentKind = "records",
    ) -> None:
        self._team_id = team_id
        self._execution_id = execution_id
        self._sealer = sealer
        self._numbers = numbers if numbers is not None else count()
        self._kind: SegmentKind = kind
        self._buffer = bytearray()
        self._first = self._last = 0
        self._count = 0

    def add(self, record: Record) -> tuple[int, list[tuple[str, int]]]:
        """Record; answers the encoded size in bytes and the files in it (content id, size)."""
        _noticed.clear()
        buffer = self._buffer
        start = len(buffer)
        buffer += b"\0\0\0\0"
        try:
            _encoder.encode_into(record, buffer, start + 4)
        except (OverflowError, UnicodeEncodeError):
            del buffer[start + 4 :]
            _noticed.clear()
            buffer += _encoder.encode(_encodable(record))
        size = len(buffer) - start - 4
        buffer[start : start + 4] = size.to_bytes(4, "big")
        if not self._count:
            self._first = record.call
        self._last = record.call
        self._count += 1
        return size, _noticed

    @property
    def is_full(self) -> bool:
        """Enough has gathered for a segment."""
        return len(self._buffer) >= SEGMENT_BYTES

    @property
    def has_records(self) -> bool:
        """Something was recorded that is in no segment yet."""
        return self._count > 0

    def take(self) -> list[Segment]:
        """What has gathered, as a segment to be written; empty when nothing has."""
        if not self._count:
            return []
        # encode_into leaves the buffer at the right length, so it can be taken as it is.
        segment = self._segment(self._kind, bytes(self._buffer), self._first, self._last)
        self._buffer.clear()
        self._count = 0
        return [segment]

    take_last = take
    """What is left at the end."""

    def checkpoint(self, frozen: Any, *, call: int) -> Segment:
        """A checkpoint as a segment; everything recorded before must be taken first."""
        return self._segment("checkpoint", encode(frozen), call, call)

    def _segment(self, kind: SegmentKind, plain: bytes, first: int, last: int) -> Segment:
        number = next(self._numbers)
        body = pack(plain)
        return Segment(
            team_id=self._team_id,
            execution_id=self._execution_id,
            number=number,
            first_seq=first,
            last_seq=last,
            kind=kind,
            body=self._sealer.seal(body, segment_context(self._execution_id, number)),
        )


class ConfidentialJournal:
    """The journal of an execution whose data nobody may read afterwards; used like `Journal`.

    Everything is recorded twice: whole, sealed with a key of the execution alone, because going on
    after a restart needs it; and without any data, sealed as ever, because people may know that it
    ran. At the end the key is destroyed, and of the first nothing can be read.

    Args:
        secret: Takes the whole records.
        public: Takes what the history shows.
    """

    __slots__ = ("_public", "_secret")

    def __init__(self, *, secret: Journal, public: Journal) -> None:
        self._secret = secret
        self._public = public

    @property
    def is_full(self) -> bool:
        """See `Journal.is_full`."""
        return self._secret.is_full

    def add(self, record: Record) -> tuple[int, list[tuple[str, int]]]:
        """See `Journal.add`."""
        self._public.add(record._replace(input=None, output=None, extra=None))
        return self._secret.add(record)

    def take(self) -> list[Segment]:
        """See `Journal.take`."""
        return [*self._secret.take(), *self._public.take()]

    def take_last(self) -> list[Segment]:
        """What is left at the end: nothing secret needs to be written any more."""
        return self._public.take()

    def checkpoint(self, frozen: Any, *, call: int) -> Segment:
        """See `Journal.checkpoint`."""
        return self._secret.checkpoint(frozen, call=call)


def segment_context(execution_id: str, number: int) -> bytes:
    """What a segment's seal is bound to: nobody can pass off one segment as another."""
    return f"segment|{execution_id}|{number}".encode()


_compressor = zstandard.ZstdCompressor(level=1)
_decompressor = zstandard.ZstdDecompressor()
"""Zstandard: a kilobyte in 2 µs, where zlib's fastest level needs 50."""


def pack(plain: bytes) -> bytes:
    """Compress where it pays; one byte says whether."""
    if len(plain) < COMPRESS_FROM_BYTES:
        return b"\0" + plain
    return b"\1" + _compressor.compress(plain)


def unpack(packed: bytes) -> bytes:
    """What was packed."""
    return packed[1:] if packed[:1] == b"\0" else _decompressor.decompress(packed[1:])


def read_records(segment: Segment, sealer: Sealer) -> Iterator[Record]:
    """The records of a segment, in order."""
    context = segment_context(segment.execution_id, segment.number)
    plain = unpack(sealer.open(segment.body, context))
    position = 0
    while position < len(plain):
        size = int.from_bytes(plain[position : position + 4], "big")
        position += 4
        yield Record(*decode(plain[position : position + size]))
        position += size


def read_checkpoint(segment: Segment, sealer: Sealer) -> Any:
    """A frozen interpreter, as `engine.thaw` wants it."""
    context = segment_context(segment.execution_id, segment.number)
    return decode(unpack(sealer.open(segment.body, context)))


def milliseconds(at: datetime) -> int:
    """An instant as the store keeps it."""
    return int(at.timestamp() * 1000)


def instant(at_ms: int) -> datetime:
    """An instant as the engine knows it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)
