"""Pack files."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from millrace.appkit import Binary, Call, to_text
from millrace.apps.archive.limits import PIECE_BYTES
from millrace.errors import BundleValidationError, DataError

_KINDS = {
    "zip": (".zip", "application/zip"),
    "tar": (".tar", "application/x-tar"),
    "tar.gz": (".tar.gz", "application/gzip"),
    "gzip": (".gz", "application/gzip"),
}
_EARLIEST_ZIP = 1980
"""The first year that a ZIP can say."""


def create(call: Call) -> dict[str, Any]:
    """One archive of all gathered files; its times are the time of the operation."""
    kind = call.parameters.get("type") or "zip"
    ending, media_type = _KINDS[kind]
    entries = _named(call)
    if kind == "gzip" and len(entries) != 1:
        raise DataError(
            f"GZIP holds one file and {len(entries)} came; choose ZIP, or TAR compressed by GZIP"
        )
    name = f"{call.parameters.get('name') or 'archive'}{ending}"
    with call.files.write(name=name, media_type=media_type) as file:
        if kind == "zip":
            _zip(call, entries, _Sink(file))
        elif kind == "gzip":
            for piece in _compressed(call, entries[0][1]):
                file.write(piece)
        elif kind == "tar":
            _tar(call, entries, _Sink(file))
        else:
            packer = zlib.compressobj(wbits=31)
            _tar(call, entries, _Sink(file, packer))
            file.write(packer.flush())
    return {"fileName": name, "data": file.binary}


def _named(call: Call) -> list[tuple[str, Any]]:
    """Paths in the archive, each once, with what stands there."""
    entries: dict[str, Any] = {}
    for number, bundle in enumerate(call.bundles, 1):
        path = _checked(bundle.get("file_name"), number)
        count = 1
        name = str(path)
        while name in entries:
            count += 1
            name = str(path.with_name(f"{path.stem} ({count}){path.suffix}"))
        data = bundle.get("data")
        if data is None:
            raise BundleValidationError(f"file {number}: data is missing")
        entries[name] = data
    return list(entries.items())


def _checked(name: Any, number: int) -> PurePosixPath:
    path = PurePosixPath(str(name or "").replace("\\", "/"))
    if not path.name or path.is_absolute() or ".." in path.parts or "\0" in path.name:
        raise BundleValidationError(
            f"file {number}: the file name must be a path without a leading slash and without .."
        )
    return path


def _zip(call: Call, entries: list[tuple[str, Any]], sink: Any) -> None:
    moment = call.now.astimezone(call.zone)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = (call.parameters.get("comment") or "").encode()[:65_535]
        for name, data in entries:
            info = zipfile.ZipInfo(name, _zip_time(moment))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            with _opened(call, data) as content, archive.open(info, "w") as target:
                for piece in _pieces(content):
                    target.write(piece)


def _zip_time(moment: datetime) -> tuple[int, int, int, int, int, int]:
    if moment.year < _EARLIEST_ZIP:
        return (_EARLIEST_ZIP, 1, 1, 0, 0, 0)
    return (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)


def _tar(call: Call, entries: list[tuple[str, Any]], sink: Any) -> None:
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name, data in entries:
            with _opened(call, data) as content:
                info = tarfile.TarInfo(name)
                info.size = content.seek(0, 2)
                content.seek(0)
                info.mtime = int(call.now.timestamp())
                archive.addfile(info, content)


def _compressed(call: Call, data: Any) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    with _opened(call, data) as content:
        for piece in _pieces(content):
            yield packer.compress(piece)
    yield packer.flush()


def _opened(call: Call, data: Any) -> BinaryIO:
    if isinstance(data, Binary):
        return call.files.open(data)
    return io.BytesIO(data if isinstance(data, bytes) else to_text(data).encode("utf-8", "replace"))


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    while piece := content.read(PIECE_BYTES):
        yield piece


class _Sink:
    """Where an archive is written to: forward only, compressed on the way when asked.

    The packers call nothing else when they find that they cannot seek.
    """

    def __init__(self, file: Any, packer: Any = None) -> None:
        self._file = file
        self._packer = packer

    def write(self, content: bytes) -> int:
        """Append bytes."""
        content = bytes(content)
        packed = self._packer.compress(content) if self._packer else content
        if packed:
            self._file.write(packed)
        return len(content)

    def flush(self) -> None:
        """Nothing waits here."""
