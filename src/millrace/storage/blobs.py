"""Files beside the database: each team's own folder, found by content.

``<root>/<team>/<first two digits>/<id>``; the id is the SHA-256 of the content, so equal files of a
team are kept once. A file appears under its name only when all of it is on disk, and never changes
afterwards.

A sealed file is ``MRB1 | flag | nonce (16) | head | chunk …``. Every chunk is sealed for its nonce,
its number and whether it is the last, the head (id and size) for the nonce: nothing can be cut off,
put in another order or exchanged for another file, and any part can be read without the rest. The
storage does not know who seals; it is handed something with `seal` and `open`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import secrets
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from millrace.errors import MaxFileSizeExceededError, NotFound, StorageError, StorageUnavailable

CHUNK_BYTES = 256 * 1024
"""Plain bytes of a chunk. Part of the format: must not change."""

_MAGIC = b"MRB1"
_OPEN_BYTES = 4 + 1 + 16
_HEAD_BYTES = _OPEN_BYTES + 32 + 8
"""With the SHA-256 and the size, which are sealed together."""

_TEAM = re.compile(r"[0-9a-f]{32}")
_ID = re.compile(r"[0-9a-f]{64}")


class Seals(Protocol):
    """Something that seals bytes for a context, adding the same number of bytes to each."""

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Seal bytes for a context."""
        ...

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Open what was sealed for the same context, or raise."""
        ...


class FolderBlobs:
    """Files in a folder.

    Calls block for the time that the disk needs; whoever is on an event loop calls them in a
    thread.

    Args:
        root: Made when the first file is written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(
        self, team_id: str, *, sealer: Seals | None = None, max_bytes: int | None = None
    ) -> BlobWriter:
        """Begin a file: a context manager with ``write``, which has an id when it is left.

        Leaving it by an exception keeps nothing.
        """
        return BlobWriter(self._folder(team_id), self._root, sealer, max_bytes)

    def open(self, team_id: str, id: str, *, sealer: Seals | None = None) -> BinaryIO:
        """A seekable stream over a file, to be closed by the caller.

        Raises:
            NotFound: the team has no such file.
            VaultError: it is sealed with another key, or was changed.
        """
        path = self._path(team_id, id)
        file = _opened(path, id)
        try:
            return _reader(file, id, sealer)
        except BaseException:
            file.close()
            raise

    def read(self, team_id: str, id: str, *, sealer: Seals | None = None) -> bytes:
        """All bytes of a file; raises as `open` does."""
        with self.open(team_id, id, sealer=sealer) as file:
            return file.read()

    def exists(self, team_id: str, id: str) -> bool:
        """Whether the team has this file."""
        try:
            return stat.S_ISREG(self._path(team_id, id).lstat().st_mode)
        except FileNotFoundError:
            return False

    def old(self, team_id: str, *, before: datetime) -> Iterator[str]:
        """The team's files last written before an instant: they may be removed if unused."""
        folder = self._folder(team_id)
        if not folder.is_dir():
            return
        for path in sorted(folder.glob("??/*")):
            if _ID.fullmatch(path.name) and _written_at(path) < before:
                yield path.name

    def remove(self, team_id: str, id: str, *, before: datetime | None = None) -> bool:
        """Delete a file, if there is one.

        Args:
            team_id: Whose.
            id: Which.
            before: Leave it if it was written (or written again with the same content) since then:
                whoever did so relies on it, although no execution says so yet.

        Returns:
            Whether it is gone.
        """
        path = self._path(team_id, id)
        with contextlib.suppress(FileNotFoundError):
            if before is not None and _written_at(path) >= before:
                return False
            path.unlink()
        return True

    def remove_team(self, team_id: str) -> None:
        """Delete all files of a team."""
        folder = self._folder(team_id)
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()

    def remove_unfinished(self, *, before: datetime) -> None:
        """Delete what processes left behind that died while they wrote, begun before an instant."""
        for part in self._root.glob("*/*.part"):
            with contextlib.suppress(FileNotFoundError):
                if _written_at(part) < before:
                    part.unlink()

    def _folder(self, team_id: str) -> Path:
        if not _TEAM.fullmatch(team_id):
            raise NotFound("There is no team of this name.")
        return _not_a_link(self._root / team_id)

    def _path(self, team_id: str, id: str) -> Path:
        folder = self._folder(team_id)
        if not _ID.fullmatch(id):
            raise NotFound("There is no file of this name.")
        return _not_a_link(folder / id[:2]) / id


class BlobWriter:
    """A file being written. Its `id` and `size_bytes` are known when it was left."""

    def __init__(
        self, folder: Path, root: Path, sealer: Seals | None, max_bytes: int | None
    ) -> None:
        self._folder = folder
        self._root = root
        self._sealer = sealer
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        self._chunks = 0
        self._nonce = secrets.token_bytes(16)
        self.id = ""
        self.size_bytes = 0

    def __enter__(self) -> BlobWriter:
        _make_folder(self._root)
        _make_folder(self._folder)
        self._part = self._folder / f"{secrets.token_hex(16)}.part"
        self._file = self._part.open("xb")
        self._file.write(bytes(_HEAD_BYTES + _overhead(self._sealer)))
        return self

    def write(self, data: bytes) -> int:
        """Append bytes, and answer how many.

        Raises:
            MaxFileSizeExceededError: there are more than allowed.
            StorageUnavailable: the disk is full.
        """
        self.size_bytes += len(data)
        if self._max_bytes is not None and self.size_bytes > self._max_bytes:
            raise MaxFileSizeExceededError(
                f"The file is larger than {self._max_bytes} bytes, which is what a file may have."
            )
        self._hash.update(data)
        self._pending += data
        while len(self._pending) > CHUNK_BYTES:
            self._put(bytes(self._pending[:CHUNK_BYTES]), is_last=False)
            del self._pending[:CHUNK_BYTES]
        return len(data)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as error:
            raise _disk_refused(error) from error
        finally:
            with contextlib.suppress(OSError):  # a full disk refuses the rest of the buffer again
                self._file.close()
            self._part.unlink(missing_ok=True)

    def _put(self, plain: bytes, *, is_last: bool) -> None:
        context = _chunk_context(self._nonce, self._chunks, is_last=is_last)
        self._chunks += 1
        self._write(plain if self._sealer is None else self._sealer.seal(plain, context))

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise _disk_refused(error) from error

    def _finish(self) -> None:
        self._put(bytes(self._pending), is_last=True)
        self.id = self._hash.hexdigest()
        self._file.seek(0)
        head = self._hash.digest() + self.size_bytes.to_bytes(8, "big")
        if self._sealer is not None:
            head = self._sealer.seal(head, _head_context(self._nonce))
        flag = b"\0" if self._sealer is None else b"\1"
        self._write(_MAGIC + flag + self._nonce + head)
        self._file.flush()
        os.fsync(self._file.fileno())
        folder = self._folder / self.id[:2]
        _make_folder(folder)
        # Also when it exists already: its time says that somebody relies on it now.
        os.replace(self._part, _not_a_link(folder) / self.id)
        _sync(folder)


class _Opened(io.RawIOBase):
    """The plain bytes of a file; one chunk of a sealed one is in memory."""

    def __init__(self, file: BinaryIO, size: int, nonce: bytes, sealer: Seals | None) -> None:
        self._file = file
        self._size = size
        self._nonce = nonce
        self._sealer = sealer
        overhead = _overhead(sealer)
        self._start = _HEAD_BYTES + overhead
        self._length = CHUNK_BYTES + overhead
        self._last = max(0, (size - 1) // CHUNK_BYTES)
        self._position = 0
        self._number = -1
        self._chunk = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._position >= self._size:
            return 0
        number, offset = divmod(self._position, CHUNK_BYTES)
        if number != self._number:
            self._chunk = self._load(number)
            self._number = number
        part = self._chunk[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def check(self) -> None:
        """Refuse a file that was cut off at the start of a chunk: the last one has to be there."""
        self._load(self._last)

    def _load(self, number: int) -> bytes:
        self._file.seek(self._start + number * self._length)
        found = self._file.read(self._length)
        is_last = number == self._last
        if self._sealer is not None:
            found = self._sealer.open(found, _chunk_context(self._nonce, number, is_last=is_last))
        if len(found) != (self._size - number * CHUNK_BYTES if is_last else CHUNK_BYTES):
            raise StorageError("A kept file is damaged: some of its content is missing.")
        return found

    def close(self) -> None:
        self._file.close()
        super().close()


def _reader(file: BinaryIO, id: str, sealer: Seals | None) -> BinaryIO:
    start = file.read(_OPEN_BYTES)
    if start[:4] != _MAGIC or len(start) < _OPEN_BYTES:
        raise StorageError("A kept file is damaged: its head is not one of ours.")
    nonce = start[5:]
    is_sealed = start[4:5] == b"\1"
    if is_sealed and sealer is None:
        raise StorageError("A sealed file was opened without a key.")
    sealer = sealer if is_sealed else None
    head = file.read(_HEAD_BYTES - _OPEN_BYTES + _overhead(sealer))
    if sealer is not None:
        head = sealer.open(head, _head_context(nonce))
    if head[:32].hex() != id:
        raise StorageError("A kept file is damaged: it has the content of another one.")
    opened = _Opened(file, int.from_bytes(head[32:], "big"), nonce, sealer)
    opened.check()
    return io.BufferedReader(opened, 64 * 1024)


def _opened(path: Path, id: str) -> BinaryIO:
    try:
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        )
    except FileNotFoundError:
        raise NotFound(f"The file {id[:12]}… is gone: its time was over.") from None
    except OSError as error:
        raise StorageError(f"A kept file cannot be read: {error.strerror}.") from error
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise StorageError("A kept file is not a plain file.")
    return file


def _overhead(sealer: Seals | None) -> int:
    """How many bytes sealing adds."""
    return 0 if sealer is None else len(sealer.seal(b"", b""))


def _disk_refused(error: OSError) -> StorageUnavailable:
    return StorageUnavailable(
        f"The file could not be kept: {error.strerror}. Check that the disk has room."
    )


def _chunk_context(nonce: bytes, number: int, *, is_last: bool) -> bytes:
    return b"blob|" + nonce + number.to_bytes(8, "big") + (b"\1" if is_last else b"\0")


def _head_context(nonce: bytes) -> bytes:
    return b"blob head|" + nonce


def _written_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC)


def _not_a_link(folder: Path) -> Path:
    """A link could lead out of the team's folder; we never make one."""
    if folder.is_symlink():
        raise StorageError(f"{folder} is a link. Files are kept in real folders only.")
    return folder


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Put the folder's own entries on disk: without that a renamed file may be lost."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
