"""The keys: one master key of the installation wraps one key of each team.

The master key never touches a payload, and a team's key is stored only wrapped: whoever has the
database without the master key has nothing, and deleting a team's wrapped key makes all that the
team ever stored unreadable, in old backups too.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from itertools import pairwise
from pathlib import Path

from millrace.errors import VaultError
from millrace.vault.seal import KEY_BYTES, Sealer

_FILE_MODE = 0o600
_FEWEST_DISTINCT_BYTES = 13
"""32 random bytes have fewer distinct values never in practice (10^-20); samples and words have."""


class Vault:
    """Makes and opens teams' keys.

    Args:
        master: 32 random bytes (`load_or_create_master`, `read_master`).

    Raises:
        VaultError: the key is too short, or plainly not random.
    """

    def __init__(self, master: bytes) -> None:
        _refuse_weak(master)
        self._master = Sealer(master, scope=b"master")

    def new_team_key(self, team_id: str) -> bytes:
        """A fresh key for a team, wrapped: what the storage keeps."""
        return self._master.seal(os.urandom(KEY_BYTES), _context(team_id))

    def team(self, team_id: str, wrapped: bytes) -> Sealer:
        """The sealer of a team. Keep it: its key is prepared once.

        Raises:
            VaultError: the key was wrapped by another master key, or for another team.
        """
        try:
            key = self._master.open(wrapped, _context(team_id))
        except VaultError:
            raise VaultError(
                f"The key of team {team_id} cannot be opened. Is this the master key that the "
                "installation was made with?"
            ) from None
        return Sealer(key, scope=team_id.encode())

    def rewrap(self, team_id: str, wrapped: bytes, *, old: Vault) -> bytes:
        """The same team's key, wrapped by this master key instead of the old one.

        Nothing that was sealed has to be touched.
        """
        return self._master.seal(old._master.open(wrapped, _context(team_id)), _context(team_id))


def read_master(text: str) -> bytes:
    """A master key from a setting: 32 bytes as base64 (either alphabet) or 64 hexadecimal digits.

    Raises:
        VaultError: it is something else, too short, or plainly not random. The message does not
            repeat the key.
    """
    text = text.strip()
    try:
        if len(text) == 2 * KEY_BYTES:
            master = bytes.fromhex(text)
        else:
            master = base64.b64decode(
                text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True
            )
    except (ValueError, binascii.Error):
        raise VaultError(
            "The master key is neither base64 nor hexadecimal. "
            "Make one with: openssl rand -base64 32"
        ) from None
    _refuse_weak(master)
    return master


def load_or_create_master(path: Path) -> bytes:
    """The master key in a file, made with the first start.

    Raises:
        VaultError: others than the owner may read the file, it is not a plain file, or it does not
            hold a usable key.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return _create(path)
    except OSError as error:
        raise VaultError(f"The master key file {path} cannot be read: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise VaultError(f"The master key file {path} is not a plain file.")
        if os.name == "posix" and status.st_mode & 0o077:
            raise VaultError(
                f"Others may read the master key file {path}. Run: chmod 600 {path}; change the "
                "key if others had access to this machine."
            )
        text = file.read(1024)
    try:
        return read_master(text.decode("ascii"))
    except UnicodeDecodeError:
        raise VaultError(f"The master key file {path} does not hold a key as text.") from None


def _create(path: Path) -> bytes:
    """Write a new key so that there is never a file with half of one, nor two keys."""
    master = os.urandom(KEY_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(master) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(new, path)
    except FileExistsError:  # another process was faster: its key is the one
        return load_or_create_master(path)
    finally:
        new.unlink()
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return master


def _refuse_weak(master: bytes) -> None:
    if len(master) != KEY_BYTES:
        raise VaultError(
            f"The master key has {len(master)} bytes instead of {KEY_BYTES}. "
            "Make one with: openssl rand -base64 32"
        )
    # Also refuses the sample keys of documentation: words, counted and repeated bytes.
    steps = {(after - before) % 256 for before, after in pairwise(master)}
    is_text = all(32 <= byte < 127 for byte in master)
    if len(set(master)) < _FEWEST_DISTINCT_BYTES or len(steps) <= 4 or is_text:
        raise VaultError(
            "The master key is a sample or a pass phrase, not random bytes. "
            "Make one with: openssl rand -base64 32"
        )


def _context(team_id: str) -> bytes:
    return b"team-key|" + team_id.encode()
