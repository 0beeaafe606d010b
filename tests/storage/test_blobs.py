from __future__ import annotations

import hashlib
import io
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from millrace.errors import MaxFileSizeExceededError, NotFound, StorageError, StorageUnavailable
from millrace.storage.blobs import CHUNK_BYTES, FolderBlobs, Seals

TEAM = "a" * 32
OTHER_TEAM = "b" * 32


class Seal:
    """Not encryption: enough to see that every byte goes through it and the contexts agree."""

    def seal(self, plain: bytes, context: bytes) -> bytes:
        return hashlib.sha256(plain + context).digest() + bytes(byte ^ 0x5A for byte in plain)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        plain = bytes(byte ^ 0x5A for byte in sealed[32:])
        if hashlib.sha256(plain + context).digest() != sealed[:32]:
            raise StorageError("tampered")
        return plain


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "files")


def keep(blobs: FolderBlobs, content: bytes, *, sealer: Seals | None = None) -> str:
    with blobs.write(TEAM, sealer=sealer) as file:
        for start in range(0, len(content), 100_000):
            file.write(content[start : start + 100_000])
    return file.id


def path_of(tmp_path: Path, id: str) -> Path:
    return tmp_path / "files" / TEAM / id[:2] / id


@pytest.mark.parametrize("sealer", [None, Seal()], ids=["plain", "sealed"])
@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 5])
def test_what_was_written_is_read(blobs: FolderBlobs, size: int, sealer: Seals | None) -> None:
    content = os.urandom(size)
    id = keep(blobs, content, sealer=sealer)
    assert id == hashlib.sha256(content).hexdigest()
    assert blobs.read(TEAM, id, sealer=sealer) == content
    with blobs.open(TEAM, id, sealer=sealer) as file:
        for place in {0, size // 2, max(0, size - 3), size, size + 10}:
            file.seek(place)
            assert file.read(7) == content[place : place + 7]
        assert file.seek(0, io.SEEK_END) == size


def test_a_library_can_read_a_sealed_file_in_any_order(blobs: FolderBlobs) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("big", os.urandom(CHUNK_BYTES * 2))
        archive.writestr("small", b"hello")
    id = keep(blobs, packed.getvalue(), sealer=Seal())
    with blobs.open(TEAM, id, sealer=Seal()) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("small") == b"hello"
        assert archive.testzip() is None


def test_equal_content_is_kept_once_and_only_within_the_team(
    blobs: FolderBlobs, tmp_path: Path
) -> None:
    id = keep(blobs, b"same")
    assert keep(blobs, b"same") == id
    assert [file.name for file in (tmp_path / "files").rglob("*") if file.is_file()] == [id]
    assert blobs.exists(TEAM, id)
    assert not blobs.exists(OTHER_TEAM, id)
    with pytest.raises(NotFound):
        blobs.read(OTHER_TEAM, id)


def test_a_file_that_was_not_finished_leaves_nothing(blobs: FolderBlobs, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), blobs.write(TEAM) as file:
        file.write(b"x" * CHUNK_BYTES * 2)
        raise RuntimeError
    assert [file for file in (tmp_path / "files").rglob("*") if file.is_file()] == []


def test_a_file_that_is_too_large_is_refused_while_it_is_written(blobs: FolderBlobs) -> None:
    with pytest.raises(MaxFileSizeExceededError), blobs.write(TEAM, max_bytes=10) as file:
        file.write(b"x" * 10)
        file.write(b"x")


@pytest.mark.parametrize("change", ["byte", "cut", "cut at a chunk", "exchanged"])
def test_a_sealed_file_that_was_changed_is_refused(
    blobs: FolderBlobs, tmp_path: Path, change: str
) -> None:
    seal = Seal()
    id = keep(blobs, os.urandom(CHUNK_BYTES * 2 + 9), sealer=seal)
    path = path_of(tmp_path, id)
    raw = bytearray(path.read_bytes())
    match change:
        case "byte":
            raw[-1] ^= 1
        case "cut":
            del raw[-5:]
        case "cut at a chunk":
            del raw[-(9 + 32) :]
        case _:
            other = keep(blobs, os.urandom(CHUNK_BYTES * 2 + 9), sealer=seal)
            raw = bytearray(path_of(tmp_path, other).read_bytes())
    path.write_bytes(raw)
    with pytest.raises(StorageError):
        blobs.read(TEAM, id, sealer=seal)


def test_a_sealed_file_is_not_read_without_its_key(blobs: FolderBlobs, tmp_path: Path) -> None:
    id = keep(blobs, b"a marker that must not be found", sealer=Seal())
    assert b"marker" not in path_of(tmp_path, id).read_bytes()
    with pytest.raises(StorageError, match="without a key"):
        blobs.read(TEAM, id)


@pytest.mark.parametrize(
    "id",
    ["", "..", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "/etc/passwd", "a/" * 32],
)
def test_a_name_that_is_not_an_id_is_not_found(blobs: FolderBlobs, id: str) -> None:
    for asking in (blobs.read, blobs.exists, blobs.remove):
        with pytest.raises(NotFound):
            asking(TEAM, id)


@pytest.mark.parametrize("team", ["", "..", "../" + "a" * 29, "A" * 32, "a" * 33])
def test_a_team_that_is_not_an_id_is_not_found(blobs: FolderBlobs, team: str) -> None:
    with pytest.raises(NotFound):
        blobs.write(team)


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
@pytest.mark.parametrize("level", ["file", "folder", "team"])
def test_a_link_is_never_followed(blobs: FolderBlobs, tmp_path: Path, level: str) -> None:
    id = keep(blobs, b"content")
    path = path_of(tmp_path, id)
    linked = {"file": path, "folder": path.parent, "team": path.parent.parent}[level]
    moved = tmp_path / "elsewhere"
    linked.rename(moved)
    linked.symlink_to(moved)
    with pytest.raises(StorageError):
        blobs.read(TEAM, id)


def test_a_file_written_again_is_not_removed_as_old(blobs: FolderBlobs, tmp_path: Path) -> None:
    id, other = keep(blobs, b"one"), keep(blobs, b"two")
    long_ago = datetime.now(UTC) - timedelta(days=90)  # noqa: TID251 - file times are real
    limit = long_ago + timedelta(days=1)
    for kept in (id, other):
        os.utime(path_of(tmp_path, kept), (long_ago.timestamp(), long_ago.timestamp()))
    assert set(blobs.old(TEAM, before=limit)) == {id, other}
    keep(blobs, b"one")
    assert list(blobs.old(TEAM, before=limit)) == [other]
    assert not blobs.remove(TEAM, id, before=limit)
    assert blobs.remove(TEAM, other, before=limit)
    assert blobs.exists(TEAM, id)
    assert not blobs.exists(TEAM, other)
    assert blobs.remove(TEAM, other)


def test_what_a_dead_process_left_behind_is_removed(blobs: FolderBlobs, tmp_path: Path) -> None:
    id = keep(blobs, b"whole")
    part = tmp_path / "files" / TEAM / "0123.part"
    part.write_bytes(b"half")
    now = datetime.now(UTC)  # noqa: TID251 - file times are real
    blobs.remove_unfinished(before=now - timedelta(hours=1))
    assert part.exists()
    blobs.remove_unfinished(before=now + timedelta(hours=1))
    assert not part.exists()
    assert blobs.exists(TEAM, id)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_as_such(blobs: FolderBlobs) -> None:
    with pytest.raises(StorageUnavailable, match="has room"), blobs.write(TEAM) as file:
        file._file.close()
        file._file = open("/dev/full", "wb")  # noqa: SIM115
        file.write(b"x")


def test_a_team_goes_with_all_its_files(blobs: FolderBlobs, tmp_path: Path) -> None:
    keep(blobs, b"one")
    keep(blobs, b"two")
    blobs.remove_team(TEAM)
    assert list((tmp_path / "files").iterdir()) == []
    blobs.remove_team(TEAM)
