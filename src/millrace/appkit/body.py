"""Bodies: what we send, and what we get, unpacked in bounded steps."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from millrace.appkit.call import Files
from millrace.errors import ConnectionFailure, DataError, MaxFileSizeExceededError
from millrace.expressions.values import Binary

CHUNK_BYTES = 64 * 1024
_HARMLESS_BYTES = 1024 * 1024
_LARGEST_RATIO = 200
"""Unpacked to packed, once more than 1 MB is unpacked. Texts reach 20, zeros 1000."""

Pairs = list[tuple[str, str]]


def pairs_of(values: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> Pairs:
    """Names and values as texts, in order; a list gives its name once for each element."""
    from millrace.appkit.values import to_text

    items = values.items() if isinstance(values, Mapping) else values
    pairs: Pairs = []
    for name, value in items:
        if isinstance(value, list | tuple):
            pairs += [(str(name), to_text(element)) for element in value]
        elif value is not None:
            pairs.append((str(name), to_text(value)))
    return pairs


def form_body(values: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> bytes:
    """``application/x-www-form-urlencoded``."""
    return urlencode(pairs_of(values)).encode()


class FileBody:
    """A file sent as it is, read from disk in pieces."""

    def __init__(self, files: Files, binary: Binary) -> None:
        self._files = files
        self._binary = binary
        self.size_bytes = binary.size_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in _pieces(self._files, self._binary):
            yield piece


class MultipartBody:
    """``multipart/form-data``; a part is a text, bytes, a `Binary` or ``(name, bytes, type)``."""

    def __init__(self, files: Files | None, parts: Sequence[tuple[str, Any]]) -> None:
        self.boundary = secrets.token_hex(16)
        self._files = files
        self._parts: list[tuple[bytes, bytes | Binary]] = []
        for name, value in parts:
            values = value if isinstance(value, list) else [value]
            self._parts += [self._part(str(name), one) for one in values if one is not None]
        self._end = f"--{self.boundary}--\r\n".encode()
        self.size_bytes = len(self._end) + sum(
            len(head) + 2 + (len(content) if isinstance(content, bytes) else content.size_bytes)
            for head, content in self._parts
        )

    @property
    def media_type(self) -> str:
        """For the Content-Type header."""
        return f"multipart/form-data; boundary={self.boundary}"

    def _part(self, name: str, value: Any) -> tuple[bytes, bytes | Binary]:
        from millrace.appkit.values import to_text

        file_name, media_type = "", ""
        content: bytes | Binary
        if isinstance(value, Binary):
            content, file_name, media_type = value, value.name, value.media_type
        elif isinstance(value, tuple):
            file_name, content, media_type = value
        elif isinstance(value, bytes):
            content, file_name, media_type = value, name, "application/octet-stream"
        else:
            content = to_text(value).encode()
        head = f'--{self.boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
        if file_name:
            head += f'; filename="{_quoted(file_name)}"'
        if media_type:
            if not media_type.isprintable():
                raise DataError("the media type of a file holds a line break")
            head += f"\r\nContent-Type: {media_type}"
        return f"{head}\r\n\r\n".encode(), content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for head, content in self._parts:
            yield head
            if isinstance(content, bytes):
                yield content
            elif self._files is not None:
                for piece in _pieces(self._files, content):
                    yield piece
            yield b"\r\n"
        yield self._end


def _quoted(text: str) -> str:
    # Source: https://html.spec.whatwg.org/#multipart-form-data, read 2026-11-21.
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _pieces(files: Files, binary: Binary) -> Iterator[bytes]:
    with files.open(binary) as stream:
        while piece := stream.read(CHUNK_BYTES):
            yield piece


class _Unpacker:
    """One Content-Encoding, undone in steps of at most `CHUNK_BYTES`."""

    def __init__(self, encoding: str) -> None:
        self._is_deflate = encoding == "deflate"
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS if self._is_deflate else 31)
        self._has_begun = False

    def feed(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._inflate.eof:
                if self._is_deflate:
                    return
                self._inflate = zlib.decompressobj(31)
            try:
                piece = self._inflate.decompress(packed, CHUNK_BYTES)
            except zlib.error as error:
                if not self._is_deflate or self._has_begun:
                    raise ConnectionFailure(
                        "the answer cannot be unpacked: it is damaged", detail={"sent": True}
                    ) from error
                # Some servers call it deflate and leave the zlib header out.
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
                self._has_begun = True
                continue
            self._has_begun = True
            packed = self._inflate.unconsumed_tail or self._inflate.unused_data
            if piece:
                yield piece

    @property
    def is_complete(self) -> bool:
        return self._inflate.eof or not self._has_begun


async def unpacked(
    body: AsyncIterator[bytes], *, encoding: str, host: str, largest_bytes: int
) -> AsyncIterator[bytes]:
    """The body of an answer without its Content-Encoding, held against the limits as it comes.

    Raises:
        MaxFileSizeExceededError: more than `largest_bytes`, or packed so tightly that it must be an
            attack.
        ConnectionFailure: it ends too early or is damaged.
    """
    names = [name.strip().lower() for name in encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > 2 or not set(names) <= {"gzip", "x-gzip", "deflate"}:
        raise ConnectionFailure(
            f"{host} packed its answer as {encoding[:40]}, which nobody asked for",
            detail={"sent": True},
        )
    chain = [_Unpacker(name) for name in reversed(names)]
    received = given = 0
    async for packed in body:
        received += len(packed)
        pieces: Iterator[bytes] = iter((packed,))
        for unpacker in chain:
            pieces = _through(unpacker, pieces)
        for piece in pieces:
            given += len(piece)
            if given > largest_bytes:
                raise MaxFileSizeExceededError(
                    f"{host} answered with more than {_size(largest_bytes)}"
                )
            if chain and given > _HARMLESS_BYTES and given > received * _LARGEST_RATIO:
                raise MaxFileSizeExceededError(
                    f"{host} answered with {_size(given)} packed into {_size(received)}; "
                    "that is refused as an attack"
                )
            yield piece
    if not all(unpacker.is_complete for unpacker in chain):
        raise ConnectionFailure(
            f"{host} closed the connection in the middle of its answer", detail={"sent": True}
        )


def _through(unpacker: _Unpacker, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from unpacker.feed(piece)


def _size(size_bytes: int) -> str:
    if size_bytes >= 1024 * 1024:
        return f"{size_bytes / 1024 / 1024:.4g} MB"
    return f"{size_bytes / 1024:.4g} KB"


def file_name_of(disposition: str | None, path: str) -> str:
    """The name of a downloaded file: as the server says, or the end of the address."""
    from email.message import Message
    from urllib.parse import unquote

    name = None
    if disposition:
        message = Message()
        message["content-disposition"] = disposition.replace("\r", "").replace("\n", "")
        name = message.get_filename()
    name = name or unquote(path.rstrip("/").rpartition("/")[2])
    name = name.replace("\\", "/").rpartition("/")[2].strip()
    name = "".join(character for character in name if character.isprintable())
    return name[:255] if name not in ("", ".", "..") else "file"


def encoded_query(pairs: Pairs) -> str:
    """A query string; spaces become ``%20``, which every server understands."""
    return urlencode(pairs, quote_via=quote)
