"""Unpack archives: nothing is given on before every entry has been looked at."""

from __future__ import annotations

import bz2
import gzip
import mimetypes
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from millrace.appkit import Binary, Call
from millrace.apps.archive.limits import MOST_ENTRIES, Allowance
from millrace.errors import BundleValidationError, DataError

_ENDINGS = (".gz", ".gzip", ".bz2")
# LZMA is not among them: an archive says how much memory its reader has to take, up to 4 GB.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_TAR_MARK = slice(257, 262)
_DRIVE = re.compile("[A-Za-z]:")
_LINK = 0o12
"""The file type in the upper half of the attributes that UNIX writes."""

_BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error, ValueError)


def extract(call: Call) -> Iterator[dict[str, Any]]:
    """One bundle for each file, in the order of the archive."""
    archive = call.parameters["data"]
    if isinstance(archive, bytes):
        archive = call.files.keep(archive, name=call.parameters.get("file_name") or "archive")
    if not isinstance(archive, Binary):
        raise BundleValidationError("data: a file is expected")
    return _extract(call, archive)


def _extract(call: Call, archive: Binary) -> Iterator[dict[str, Any]]:
    with call.files.open(archive) as stream, _readable():
        open_again = _opener(stream)
        if _is_tar(open_again()):
            yield from _untar(call, open_again, archive.size_bytes)
        elif zipfile.is_zipfile(stream):
            yield from _unzip(call, stream, archive.size_bytes)
        elif open_again() is not stream:
            name = call.parameters.get("file_name") or _without_ending(archive.name)
            yield _entry(call, _checked(name), open_again(), Allowance(archive.size_bytes), {})
        else:
            raise DataError("this is not a ZIP, TAR, GZIP or BZIP2 archive")


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # how zipfile says that a password is missing or wrong
        raise DataError("the archive is locked: the password is missing or wrong") from error
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the archive
        raise DataError("the archive is damaged, or packed in a way that cannot be read") from error


def _opener(stream: BinaryIO) -> Callable[[], Any]:
    """A function that gives the content from its start, decompressed when it is compressed."""
    start = stream.read(4)

    def open_again() -> Any:
        stream.seek(0)
        if start.startswith(b"\x1f\x8b"):
            return gzip.GzipFile(fileobj=stream)
        return bz2.BZ2File(stream) if start.startswith(b"BZh") else stream

    return open_again


def _unzip(call: Call, stream: BinaryIO, packed_bytes: int) -> Iterator[dict[str, Any]]:
    with zipfile.ZipFile(stream) as archive:
        if len(archive.infolist()) > MOST_ENTRIES:
            raise _too_many()
        files = []
        admitted = Allowance(packed_bytes)
        for info in archive.infolist():
            # zipfile cuts a name at its NUL; the original tells.
            path = _checked(info.orig_filename)
            if info.external_attr >> 28 == _LINK:
                raise _link()
            if info.compress_type not in _ZIP_METHODS:
                raise DataError("the archive uses a compression other than deflate and bzip2")
            admitted.spend(info.file_size)
            if not info.is_dir():
                files.append((path, info))
        password = (call.parameters.get("password") or "").encode() or None
        # What the directory of an archive admits need not be true: what comes out is counted too.
        allowance = Allowance(packed_bytes)
        names: dict[str, int] = {}
        for path, info in files:
            with archive.open(info, pwd=password) as content:
                yield _entry(call, path, content, allowance, names)


def _untar(
    call: Call, open_again: Callable[[], BinaryIO], packed_bytes: int
) -> Iterator[dict[str, Any]]:
    """Twice through the archive: to look at all entries, then to give them on."""
    _look(open_again(), Allowance(packed_bytes))
    allowance = Allowance(packed_bytes)
    names: dict[str, int] = {}
    with tarfile.open(fileobj=open_again(), mode="r|") as archive:
        for member in archive:
            if member.isdir():
                continue
            content = archive.extractfile(member)
            if content is not None:
                yield _entry(call, _checked(member.name), content, allowance, names)


def _look(stream: BinaryIO, allowance: Allowance) -> None:
    # In the mode for streams tarfile calls nothing but read.
    counted: Any = _Counted(stream, allowance)
    with tarfile.open(fileobj=counted, mode="r|") as archive:
        for count, member in enumerate(archive, 1):
            if count > MOST_ENTRIES:
                raise _too_many()
            _checked(member.name)
            if member.issym() or member.islnk():
                raise _link()
            if not (member.isfile() or member.isdir()):
                raise DataError("the archive holds a device or a pipe, which is refused")


class _Counted:
    """A stream that counts what is read from it."""

    def __init__(self, stream: BinaryIO, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    def read(self, size: int = -1) -> bytes:
        """Read, within what is allowed."""
        content = self._stream.read(size)
        self._allowance.spend(len(content))
        return content


def _entry(
    call: Call, path: PurePosixPath, content: Any, allowance: Allowance, names: dict[str, int]
) -> dict[str, Any]:
    name = _unused(path, names)
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    with call.files.write(name=name, media_type=media_type) as file:
        for piece in allowance.pieces(content):
            file.write(piece)
    data = file.binary
    return {"fileName": name, "path": str(path), "data": data, "size": data.size_bytes}


def _unused(path: PurePosixPath, names: dict[str, int]) -> str:
    """The last part of a path; the second ``a.txt`` is ``a (2).txt``."""
    name = path.name or "file"
    count = names[name] = names.get(name, 0) + 1
    return name if count == 1 else f"{path.stem} ({count}){path.suffix}"


def _checked(name: str) -> PurePosixPath:
    """The path of an entry.

    Raises:
        DataError: it leads out of the archive.
    """
    written = name.replace("\\", "/")
    path = PurePosixPath(written)
    if path.is_absolute() or ".." in path.parts or "\0" in name or _DRIVE.match(written):
        raise DataError("the archive holds a path that leads out of it, which is refused")
    return path


def _too_many() -> DataError:
    return DataError(f"the archive holds more than {MOST_ENTRIES} entries")


def _link() -> DataError:
    return DataError("the archive holds a link, which is refused")


def _is_tar(stream: BinaryIO) -> bool:
    return stream.read(512)[_TAR_MARK] == b"ustar"


def _without_ending(name: str) -> str:
    lower = name.lower()
    for ending in _ENDINGS:
        if lower.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name or "file"
