"""The command ``millrace``. A command's file is read when the command is used, not before."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from millrace import __version__
from millrace.errors import MillraceError

log = logging.getLogger(__name__)

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("millrace.cli.run:run", "Run a scenario file once, without a server."),
    "serve": ("millrace.cli.serve:serve", "Start Millrace: pages, API, webhooks, schedules."),
    "check": ("millrace.cli.check:check", "Say what is wrong with a scenario file."),
    "import": (
        "millrace.cli.imports:import_",
        "Import a scenario file, ours or an export of Make.",
    ),
    "app": ("millrace.cli.app:app", "Check, try and make apps."),
    "owner-link": ("millrace.cli.access:owner_link", "Make a link that signs the owner in once."),
    "token": ("millrace.cli.access:token", "Make a token for the API."),
    "doctor": ("millrace.cli.doctor:doctor", "Show settings, versions and the state of the data."),
}
"""Name → where the command is, and its line in the help."""


class Commands(click.Group):
    """The commands above, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="millrace")
def cli() -> None:
    """Scenarios that connect applications; nothing lost, nothing repeated.

    Settings are environment variables that begin with MILLRACE_; `millrace doctor` lists them.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; an error is one readable message, never a traceback.

    Returns:
        0 when all is well, 1 when something is wrong, 2 when the command was used wrongly.
    """
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="millrace",
            standalone_mode=False,
        )
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone; Python must not complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MillraceError as error:
        say_error(error)
        return 1
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        click.echo(f"{name}{error.strerror or error}", err=True)
        return 1
    except Exception as error:
        log.debug("unexpected", exc_info=error)
        click.echo(
            f"Something unexpected happened ({type(error).__name__}: {error}). "
            "Set MILLRACE_LOG__LEVEL=debug to see where, and please report it.",
            err=True,
        )
        return 1
    return result if isinstance(result, int) else 0


def say_error(error: MillraceError) -> None:
    """Write an error of ours, with every single finding that it brings."""
    problems: Any = getattr(error, "problems", ())
    if len(problems) > 1:
        for found in problems:
            click.echo(str(found), err=True)
        return
    click.echo(error.message, err=True)


if __name__ == "__main__":
    main()
