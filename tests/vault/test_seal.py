from __future__ import annotations

import copy
import hashlib
import itertools
import os
import pickle

import pytest

from millrace.errors import VaultError
from millrace.vault.keyring import Vault
from millrace.vault.seal import OVERHEAD_BYTES, Sealer
from millrace.vault.secret import Secret

KEY = hashlib.sha256(b"a key for tests").digest()
OTHER_KEY = hashlib.sha256(b"another key for tests").digest()


def test_what_is_sealed_opens_in_its_context_only() -> None:
    sealer = Sealer(KEY, scope=b"team")
    sealed = sealer.seal(b"plain", b"connection|1")
    assert len(sealed) == len(b"plain") + OVERHEAD_BYTES
    assert b"plain" not in sealed
    assert sealer.open(sealed, b"connection|1") == b"plain"
    for other, context in (
        (sealer, b"connection|2"),
        (Sealer(KEY, scope=b"another team"), b"connection|1"),
        (Sealer(OTHER_KEY, scope=b"team"), b"connection|1"),
    ):
        with pytest.raises(VaultError, match="cannot be opened"):
            other.open(sealed, context)


def test_a_changed_byte_anywhere_refuses_to_open() -> None:
    sealer = Sealer(KEY, scope=b"team")
    sealed = sealer.seal(b"some longer plain text", b"context")
    for place in range(len(sealed)):
        tampered = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(VaultError):
            sealer.open(tampered, b"context")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(27), b"\x02" + bytes(60)])
def test_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises(VaultError, match="not sealed by this version"):
        Sealer(KEY, scope=b"team").open(sealed, b"")


def test_no_nonce_is_used_twice_by_sealers_of_one_key() -> None:
    sealers = [Sealer(KEY, scope=b"team") for _ in range(10)]
    nonces = {sealer.seal(b"", b"")[1:13] for sealer in sealers for _ in range(1000)}
    assert len(nonces) == 10_000


def test_the_counter_of_nonces_runs_over_without_an_error() -> None:
    sealer = Sealer(KEY, scope=b"team")
    sealer._numbers = itertools.count(2**64 - 1)
    assert sealer.seal(b"a", b"")[5:13] == b"\xff" * 8
    assert sealer.seal(b"a", b"")[5:13] == bytes(8)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_uses_other_nonces() -> None:
    sealer = Sealer(KEY, scope=b"team")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, sealer.seal(b"", b"")[1:13])
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 12) != sealer.seal(b"", b"")[1:13]
    os.close(read)
    os.close(write)


def test_an_empty_text_can_be_sealed() -> None:
    sealer = Sealer(KEY, scope=b"team")
    assert sealer.open(sealer.seal(b"", b"c"), b"c") == b""


def test_a_team_key_opens_only_for_its_team_and_under_its_master_key() -> None:
    vault = Vault(KEY)
    wrapped = vault.new_team_key("team-a")
    sealed = vault.team("team-a", wrapped).seal(b"x", b"c")
    assert Vault(KEY).team("team-a", wrapped).open(sealed, b"c") == b"x"
    with pytest.raises(VaultError, match="team-b"):
        vault.team("team-b", wrapped)
    with pytest.raises(VaultError, match="master key"):
        Vault(OTHER_KEY).team("team-a", wrapped)


def test_changing_the_master_key_leaves_everything_readable() -> None:
    old, new = Vault(KEY), Vault(OTHER_KEY)
    wrapped = old.new_team_key("team")
    sealed = old.team("team", wrapped).seal(b"x", b"c")
    assert new.team("team", new.rewrap("team", wrapped, old=old)).open(sealed, b"c") == b"x"


def test_a_sealer_is_not_copied_because_it_would_repeat_its_nonces() -> None:
    sealer = Sealer(KEY, scope=b"team")
    for copying in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copying(sealer)


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", "%s %r" % (secret, [secret])]  # noqa: UP031
    assert "hunter2" not in " ".join(shown)
    assert shown[0] == "***"
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("hunter3")
    for leaking in (copy.copy, copy.deepcopy, pickle.dumps, vars, hash):
        with pytest.raises(TypeError):
            leaking(secret)
