"""Archives that are built to fill the disk, and archives that travel both ways."""

import bz2
import gzip
import io
import tarfile
import zipfile
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from millrace.appkit import Call
from millrace.appkit.memory import MemoryFiles
from millrace.apps.archive.creating import create
from millrace.apps.archive.deflating import inflate
from millrace.apps.archive.extracting import extract
from millrace.errors import DataError


def call(files, *, gathered=(), **parameters):
    return Call(
        parameters=parameters,
        bundles=list(gathered),
        context=SimpleNamespace(files=files, zone=UTC),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )


def extracted(content, **parameters):
    files = MemoryFiles()
    archive = files.keep(content, name="archive")
    return [
        (bundle["path"], files.read(bundle["data"]))
        for bundle in extract(call(files, data=archive, **parameters))
    ]


def zipped(entries):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return target.getvalue()


def tarred(*members):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def linked(kind):
    info = tarfile.TarInfo("link")
    info.type = kind
    info.linkname = "/etc/passwd"
    return info


BOMBS = {
    "zip 1000 to 1": zipped([("zeros", bytes(20_000_000))]),
    "zip of 1001 files": zipped([(f"{n}.txt", b"x") for n in range(1001)]),
    "gzip": gzip.compress(bytes(20_000_000)),
    "bzip2": bz2.compress(bytes(20_000_000)),
    "tar.gz": gzip.compress(tarred((tarfile.TarInfo("zeros"), bytes(20_000_000)))),
    "tar of 1001 files": tarred(*[(tarfile.TarInfo(f"{n}"), b"x") for n in range(1001)]),
    "tar with ..": tarred((tarfile.TarInfo("a/../../x"), b"x")),
    "tar with a symbolic link": tarred((linked(tarfile.SYMTYPE), b"")),
    "tar with a hard link": tarred((linked(tarfile.LNKTYPE), b"")),
    "tar with a device": tarred((linked(tarfile.CHRTYPE), b"")),
    "zip with a drive": zipped([("C:/x", b"x")]),
    "zip with backslashes": zipped([("..\\x", b"x")]),
}


@pytest.mark.parametrize("name", BOMBS)
def test_T049_a_trap_gives_nothing_on(name):
    files = MemoryFiles()
    archive = files.keep(BOMBS[name], name="trap")

    with pytest.raises(DataError):
        next(iter(extract(call(files, data=archive))))


def test_a_directory_that_lies_about_sizes_is_found_out():
    content = zipped([("zeros", bytes(5_000_000))])
    # The size that the directory admits: 5,000,000 becomes 500 in both places where it stands.
    lying = content.replace((5_000_000).to_bytes(4, "little"), (500).to_bytes(4, "little"))

    assert lying != content
    with pytest.raises(DataError):
        extracted(lying)


def test_a_deflate_bomb_stops_at_the_limit():
    files = MemoryFiles()
    with pytest.raises(DataError, match="trap"):
        inflate(call(files, data=files.keep(gzip.compress(bytes(20_000_000)), name="x")))


def test_a_file_inside_a_tar_is_no_zip():
    inner = zipped([("inner.txt", b"x")])

    assert [path for path, _ in extracted(tarred((tarfile.TarInfo("a.zip"), inner)))] == ["a.zip"]


def test_a_damaged_archive_is_an_error():
    content = zipped([("a.txt", b"hello" * 1000)])

    with pytest.raises(DataError, match="damaged"):
        extracted(content[:30] + b"\x00\xff" * 5 + content[40:])


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "gzip"])
def test_what_was_packed_comes_out_again(kind):
    files = MemoryFiles()
    gathered: list[dict[str, Any]] = [{"file_name": "docs/č.txt", "data": "žluť" * 10_000}]
    if kind != "gzip":
        gathered.append({"file_name": "docs/č.txt", "data": files.keep(b"\0\1", name="b")})

    packed = create(call(files, gathered=gathered, type=kind))

    found = extracted(files.read(packed["data"]))
    assert found[0][1].decode() == "žluť" * 10_000
    if kind != "gzip":
        assert [path for path, _ in found] == ["docs/č.txt", "docs/č (2).txt"]
        assert found[1][1] == b"\0\1"


def test_several_gzip_parts_one_after_the_other():
    files = MemoryFiles()
    data = files.keep(gzip.compress(b"one ") + gzip.compress(b"two"), name="x.gz")

    assert inflate(call(files, data=data, result="text")) == {"data": "one two"}
