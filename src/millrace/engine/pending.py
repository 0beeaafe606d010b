"""What has been asked and not been answered, and what is needed to ask it again."""

from __future__ import annotations

from typing import Any

import msgspec

from millrace.engine.commands import (
    CallModule,
    Commit,
    KeepIncomplete,
    RetryPolicy,
    Rollback,
    WaitUntil,
    Yield,
)
from millrace.engine.events import Failure

Asked = CallModule | WaitUntil | Yield | Commit | Rollback | KeepIncomplete


class Request(msgspec.Struct):
    """A failed operation, as far as repeating it is concerned."""

    parameters: dict[str, Any] | None = None
    """As the module was called; None: it failed before, so they are evaluated anew."""

    gathered: list[dict[str, Any]] | None = None
    """Aggregators that were asked to speak: the bundles of the group."""

    key: str = ""
    attempt: int = 1
    page: int = 0
    """Bundles of the stream that were delivered before it broke."""

    is_filter: bool = False
    """The filter before the module could not be decided; it is asked again, too."""


class Pending(msgspec.Struct):
    """A command that waits for its event."""

    strand: int
    """Which strand goes on with the answer; -1: the whole execution."""

    node: int
    """-1: none."""

    command: Asked
    then: str = ""
    """What follows the answer, where the command alone does not say it."""

    request: Request | None = None
    """WaitUntil: what is asked again when the time has come."""

    def freeze(self) -> list[Any]:
        """Plain data."""
        command = self.command
        values = list(msgspec.structs.astuple(command))
        if isinstance(command, KeepIncomplete):
            values[2] = list(msgspec.structs.astuple(command.failure))
            policy = command.retry
            values[4] = None if policy is None else list(msgspec.structs.astuple(policy))
        request = self.request
        return [
            self.strand,
            self.node,
            type(command).__name__,
            values,
            self.then,
            None if request is None else list(msgspec.structs.astuple(request)),
        ]

    @classmethod
    def thaw(cls, plain: list[Any]) -> Pending:
        """The pending command that was frozen."""
        strand, node, kind, values, then, request = plain
        if kind == KeepIncomplete.__name__:
            values = [*values]
            values[2] = Failure(*values[2])
            values[4] = None if values[4] is None else RetryPolicy(*values[4])
        return cls(
            strand,
            node,
            _COMMANDS[kind](*values),
            then,
            None if request is None else Request(*request),
        )


_COMMANDS: dict[str, Any] = {
    command.__name__: command
    for command in (CallModule, WaitUntil, Yield, Commit, Rollback, KeepIncomplete)
}
