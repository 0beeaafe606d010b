"""Files and records kept in memory: for cases and for trying a module out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from millrace.appkit.call import Bundle
from millrace.errors import DataError, MaxFileSizeExceededError
from millrace.expressions.values import Binary

LARGEST_FILE_BYTES = 200 * 1024 * 1024


class MemoryFiles:
    """The `Files` of a call that nobody keeps."""

    def __init__(self, *, largest_bytes: int = LARGEST_FILE_BYTES) -> None:
        self._contents: dict[str, bytes] = {}
        self.largest_bytes = largest_bytes

    def keep(
        self, content: bytes, *, name: str, media_type: str = "application/octet-stream"
    ) -> Binary:
        """Keep bytes and give the reference."""
        if len(content) > self.largest_bytes:
            raise MaxFileSizeExceededError(f"the file is larger than {self.largest_bytes} bytes")
        id_ = hashlib.sha256(content).hexdigest()
        self._contents[id_] = content
        return Binary(id=id_, name=name, size_bytes=len(content), media_type=media_type)

    def write(self, *, name: str, media_type: str = "application/octet-stream") -> MemoryFileWriter:
        """Keep bytes that come in pieces."""
        return MemoryFileWriter(self, name, media_type)

    def read(self, binary: Binary) -> bytes:
        """All bytes of a file."""
        if binary.id not in self._contents:
            raise DataError("the file is no longer there")
        return self._contents[binary.id]

    def open(self, binary: Binary) -> BinaryIO:
        """A seekable stream over a file."""
        return io.BytesIO(self.read(binary))


class MemoryFileWriter:
    """A file being written into `MemoryFiles`."""

    def __init__(self, files: MemoryFiles, name: str, media_type: str) -> None:
        self._files = files
        self._name = name
        self._media_type = media_type
        self._content = bytearray()
        self._binary: Binary | None = None

    def __enter__(self) -> MemoryFileWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._binary = self._files.keep(
                bytes(self._content), name=self._name, media_type=self._media_type
            )

    def write(self, content: bytes, /) -> int:
        """Append bytes."""
        if len(self._content) + len(content) > self._files.largest_bytes:
            raise MaxFileSizeExceededError(
                f"the file is larger than {self._files.largest_bytes} bytes"
            )
        self._content += content
        return len(content)

    @property
    def binary(self) -> Binary:
        """The reference, once the context has been left without an error."""
        if self._binary is None:
            raise DataError("the file was not written to its end")
        return self._binary


class MemoryRecords:
    """A data store that nobody keeps."""

    def __init__(
        self,
        records: Mapping[str, Bundle] | None = None,
        *,
        structure: Sequence[Mapping[str, Any]] | None = None,
        is_strict: bool = False,
    ) -> None:
        self.records: dict[str, Bundle] = dict(records or {})
        self.structure = structure
        self.is_strict = is_strict

    def get(self, key: str) -> Bundle | None:
        """One record."""
        return self.records.get(key)

    def put(self, key: str, data: Bundle) -> None:
        """Write a record."""
        self.records[key] = data

    def remove(self, key: str) -> bool:
        """Delete a record; False when there was none."""
        return self.records.pop(key, None) is not None

    def scan(self) -> Iterator[tuple[str, Bundle]]:
        """Every record in order of its key."""
        yield from sorted(self.records.items())

    def count(self) -> int:
        """How many records there are."""
        return len(self.records)

    def clear(self) -> int:
        """Delete every record; gives how many there were."""
        count = len(self.records)
        self.records.clear()
        return count
