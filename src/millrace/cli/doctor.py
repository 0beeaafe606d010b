"""``millrace doctor``: what this installation is, and what is wrong with it."""

from __future__ import annotations

import os
import platform
import sqlite3
import stat
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from millrace import __version__
from millrace.errors import MillraceError

if TYPE_CHECKING:
    from millrace.settings import Settings

PACKAGES = ("fastapi", "uvicorn", "sqlalchemy", "cryptography", "httpx2", "msgspec")
LEAST_FREE_BYTES = 500 * 1024 * 1024

Line = tuple[bool, str, str]
"""Whether all is well, what was looked at, what was found."""


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
def doctor(data: Path | None) -> int:
    """Show the settings (secrets as ***), the versions, and the state of the data folder.

    Nothing is changed, and a running server is not disturbed. The exit code is 1 when something
    needs mending.
    """
    from millrace.settings import read_settings, shown

    settings = read_settings(data=data)
    click.echo(f"Millrace {__version__}, Python {platform.python_version()}, {platform.system()}")
    click.echo(", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    click.echo(f"SQLite {sqlite3.sqlite_version}\n\nSettings")
    for name, value in shown(settings):
        click.echo(f"  {name}={value}")
    click.echo("\nChecks")
    is_well = True
    for is_good, subject, found in checks(settings):
        is_well = is_well and is_good
        mark = click.style("✓", fg="green") if is_good else click.style("✕", fg="red")
        click.echo(f"  {mark} {subject}: {found}")
    return 0 if is_well else 1


def checks(settings: Settings) -> Iterator[Line]:
    """Everything that is looked at, one after the other."""
    from millrace.cli.building import allowed, the_catalog

    yield from _folder(settings.data)
    yield from _database(settings.data)
    yield _master_key(settings)
    try:
        apps = the_catalog(settings).apps()
        yield True, "apps", f"{len(apps)} installed"
    except MillraceError as error:
        yield False, "apps", error.message
    try:
        allowed(settings)
        yield True, "egress", "every network can be read"
    except MillraceError as error:
        yield False, "egress", error.message
    is_local = settings.host in ("127.0.0.1", "::1", "localhost")
    if is_local or settings.is_secure:
        yield True, "address", settings.address
    else:
        yield (
            False,
            "address",
            f"{settings.host} is reachable by others, and {settings.address} has no TLS. "
            "Put a reverse proxy with TLS before it and set MILLRACE_PUBLIC_URL",
        )
    yield True, "code sandbox", "not in this release"


def _folder(data: Path) -> Iterator[Line]:
    if not data.exists():
        yield True, "data folder", f"{data} is made at the first start"
        return
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        yield False, "data folder", f"{data} cannot be written by this user"
        return
    status = os.statvfs(data)
    free = status.f_bavail * status.f_frsize
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    found = f"{data}, {size // 1_000_000} MB used, {free // 1_000_000} MB free"
    yield free >= LEAST_FREE_BYTES, "data folder", found


def _database(data: Path) -> Iterator[Line]:
    from millrace.cli.building import DATABASE
    from millrace.storage.migrations import HEAD, is_current

    path = data / DATABASE
    if not path.exists():
        yield True, "database", "is made at the first start"
        return
    try:
        is_newest = is_current(path)
    except MillraceError as error:
        yield False, "database", error.message
        return
    yield True, "schema", HEAD if is_newest else f"older than {HEAD}; serve brings it up to date"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        result = str(error)
    finally:
        connection.close()
    yield result == "ok", "database", "sound" if result == "ok" else result


def _master_key(settings: Settings) -> Line:
    from millrace.vault.keyring import Vault, read_master

    path = settings.data / "master.key"
    try:
        if settings.master_key is not None:
            Vault(read_master(settings.master_key.reveal()))
            return True, "master key", "from the setting"
        if not path.exists():
            return True, "master key", "is made at the first start"
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            return False, "master key", f"others may read {path}. Run: chmod 600 {path}"
        Vault(read_master(path.read_text("ascii")))
    except (MillraceError, OSError, UnicodeDecodeError) as error:
        return False, "master key", getattr(error, "message", str(error))
    return True, "master key", f"{path}, readable by its owner only"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
