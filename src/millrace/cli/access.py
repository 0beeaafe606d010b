"""``millrace owner-link`` and ``millrace token``: the ways in, made on the machine itself.

Both work beside a running server: they write a few rows and leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from millrace.runtime.users import Users
    from millrace.settings import Settings

_DATA = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder."
)


@click.command("owner-link")
@_DATA
def owner_link(data: Path | None) -> None:
    """Make a link that signs the owner in once, within 15 minutes."""
    from millrace.cli.serve import link
    from millrace.settings import read_settings

    settings = read_settings(data=data)

    async def make() -> str:
        async with _users(settings) as users:
            return await users.create_sign_in_link(by=await users.ensure_owner())

    click.echo(link(settings, asyncio.run(make())))


@click.command()
@_DATA
@click.option("--name", default="command line", show_default=True, help="What lists call it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("*",),
    show_default=True,
    help="What it may do: scenarios.run, scenarios.*, *.read. May be given several times.",
)
@click.option("--days", type=click.IntRange(min=1), help="It ends after so many days.")
def token(data: Path | None, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a token for the API and print it; it is shown this once."""
    from millrace.settings import read_settings

    settings = read_settings(data=data)

    async def make() -> str:
        async with _users(settings) as users:
            secret, _ = await users.create_token(
                by=await users.ensure_owner(),
                name=name,
                scopes=scopes,
                expires_in=None if days is None else timedelta(days=days),
            )
            return secret

    click.echo(asyncio.run(make()))


@asynccontextmanager
async def _users(settings: Settings) -> AsyncIterator[Users]:
    """The people of the installation; it is made when there is none yet."""
    from millrace.cli.building import DATABASE, build_runtime
    from millrace.clock import SystemClock
    from millrace.runtime.activity import Activity
    from millrace.runtime.users import Users
    from millrace.storage.beside import BesideDatabase

    path = settings.data / DATABASE
    if not path.exists():
        runtime = await build_runtime(settings)
        try:
            await runtime.users.ensure_owner()
        finally:
            await runtime.close()
    database = BesideDatabase(path)
    clock = SystemClock()

    def no_key(team_id: str) -> bytes:
        raise AssertionError("the owner is there already")

    try:
        yield Users(database, clock=clock, activity=Activity(database, clock=clock), new_key=no_key)
    finally:
        database.close()
