from __future__ import annotations

import base64
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from millrace.errors import VaultError
from millrace.vault.keyring import Vault, load_or_create_master, read_master

KEY = hashlib.sha256(b"a key for tests").digest()


def test_the_first_start_makes_a_key_that_later_ones_find(tmp_path: Path) -> None:
    path = tmp_path / "data" / "master.key"
    master = load_or_create_master(path)
    assert len(master) == 32
    assert load_or_create_master(path) == master
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]
    Vault(master)


def test_two_first_starts_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: load_or_create_master(path), range(8)))
    assert keys == {load_or_create_master(path)}


@pytest.mark.skipif(os.name != "posix", reason="file modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    load_or_create_master(path)
    path.chmod(mode)
    with pytest.raises(VaultError, match="chmod 600"):
        load_or_create_master(path)


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_link_instead_of_a_key_file_is_refused(tmp_path: Path) -> None:
    load_or_create_master(tmp_path / "elsewhere")
    (tmp_path / "master.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VaultError, match="cannot be read"):
        load_or_create_master(tmp_path / "master.key")


def test_a_key_can_be_given_as_base64_or_hexadecimal() -> None:
    assert read_master(base64.b64encode(KEY).decode()) == KEY
    assert read_master(base64.urlsafe_b64encode(KEY).decode().rstrip("=") + "\n") == KEY
    assert read_master(KEY.hex()) == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        base64.b64encode(KEY[:31]).decode(),
        base64.b64encode(bytes(32)).decode(),
        base64.b64encode(bytes(range(32))).decode(),
        base64.b64encode(b"0123456789abcdef" * 2).decode(),
        base64.b64encode(b"change-me-change-me-change-me-ok").decode(),
        base64.b64encode(b"correct horse battery staple 123").decode(),
        "00112233445566778899aabbccddeeff" * 2,
        "not base64 at all: ä",
    ],
)
def test_a_key_that_is_short_or_a_sample_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(VaultError) as refused:
        read_master(text)
    assert not text or text not in str(refused.value)
