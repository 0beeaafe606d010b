"""A team's files as apps see them: kept beside the database, sealed with the team's key."""

from __future__ import annotations

from typing import BinaryIO

from millrace.errors import DataError, NotFound
from millrace.expressions.values import Binary
from millrace.runtime.journal import Sealer
from millrace.storage.blobs import BlobWriter, FolderBlobs

MAX_FILE_BYTES = 500 * 1024 * 1024
"""Larger files are refused while they arrive."""


class TeamFiles:
    """``appkit.call.Files`` over the blob store.

    Args:
        blobs: Where the bytes are.
        team_id: Whose.
        sealer: The team's.
        max_bytes: The largest file.
    """

    def __init__(
        self,
        blobs: FolderBlobs,
        team_id: str,
        sealer: Sealer,
        *,
        max_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self._blobs = blobs
        self._team_id = team_id
        self._sealer = sealer
        self._max_bytes = max_bytes

    def keep(
        self, content: bytes, *, name: str, media_type: str = "application/octet-stream"
    ) -> Binary:
        """See `Files.keep`."""
        with self.write(name=name, media_type=media_type) as writer:
            writer.write(content)
        return writer.binary

    def write(self, *, name: str, media_type: str = "application/octet-stream") -> TeamFileWriter:
        """See `Files.write`."""
        blob = self._blobs.write(self._team_id, sealer=self._sealer, max_bytes=self._max_bytes)
        return TeamFileWriter(blob, name=name, media_type=media_type)

    def read(self, binary: Binary) -> bytes:
        """See `Files.read`."""
        with self.open(binary) as file:
            return file.read()

    def open(self, binary: Binary) -> BinaryIO:
        """See `Files.open`."""
        try:
            return self._blobs.open(self._team_id, binary.id, sealer=self._sealer)
        except NotFound as error:
            raise DataError(
                f"the file {binary.name!r} is not kept any more; run what made it again"
            ) from error


class TeamFileWriter:
    """A file being written; see ``appkit.call.FileWriter``."""

    def __init__(self, blob: BlobWriter, *, name: str, media_type: str) -> None:
        self._blob = blob
        self._name = name.replace("\\", "/").rpartition("/")[2] or "file"
        self._media_type = media_type

    def __enter__(self) -> TeamFileWriter:
        self._blob.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._blob.__exit__(*exc)

    def write(self, content: bytes, /) -> int:
        """Append bytes; MaxFileSizeExceededError past the limit."""
        return self._blob.write(content)

    @property
    def binary(self) -> Binary:
        """The reference, once the file is closed."""
        return Binary(
            id=self._blob.id,
            name=self._name,
            size_bytes=self._blob.size_bytes,
            media_type=self._media_type,
        )
