"""What the interpreter asks the driver to do.

Every command carries the number of its *call*. Numbers are given in the order of asking, and the
order of asking depends only on what was told, so a replay gives every command its old number.
``CallModule``, ``WaitUntil``, ``Commit``, ``Rollback``, ``KeepIncomplete`` and ``Yield`` must be
answered by one event each; ``Note`` and ``Finish`` need no answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from millrace.engine.events import Failure


class CallModule(msgspec.Struct):
    """Let a module work on one bundle. Answer: ModuleAnswered or ModuleFailed."""

    call: int
    node: int
    """Position in ``Plan.nodes``."""

    module: str
    parameters: dict[str, Any]
    bundles: list[dict[str, Any]]
    """Aggregators: what was gathered, in order of arrival. Empty otherwise."""

    key: str
    """Stable under repetition and resumption; what an idempotency header is made from."""

    page: int = 0
    """How many bundles of this operation's stream were delivered before; 0 for the first page."""

    attempt: int = 1
    warnings: list[str] | None = None
    """References that named nothing and were taken as empty."""


class Note(msgspec.Struct):
    """Something the engine did itself, to be written into the journal."""

    call: int
    module: str
    input: Any
    output: Any
    """Bundles; None where the output is plain from the input (an iterator's items)."""

    failure: Failure | None = None
    """Why it could not be done, when it could not."""


class WaitUntil(msgspec.Struct):
    """Go on at an instant, without holding a worker. Answer: TimeReached."""

    call: int
    module: str
    at: datetime


class Yield(msgspec.Struct):
    """The engine has done much by itself: write it down, let others run. Answer: Continued."""

    call: int


class Commit(msgspec.Struct):
    """Make the cycle final: transactional writes, trigger positions. Answer: Committed."""

    call: int
    cycle: int
    counters: dict[str, int]
    """Counters that outlive the execution (increment with reset: scenario), by module."""


class Rollback(msgspec.Struct):
    """Undo what can be undone of the cycle. Answer: RolledBack."""

    call: int
    cycle: int


class KeepIncomplete(msgspec.Struct):
    """Keep a failed bundle so that it can be resumed. Answer: Kept."""

    call: int
    module: str
    failure: Failure
    resumption: dict[str, Any]
    """Plain data for `Start.resumption`."""

    retry: RetryPolicy | None


class RetryPolicy(msgspec.Struct):
    """How an incomplete execution completes itself."""

    attempts: int
    interval_seconds: int
    """0: the default back-off table."""


class Finish(msgspec.Struct):
    """The execution is over."""

    status: str
    """success | warning | error | stopped."""

    failure: Failure | None
    is_counted: bool
    """Whether the failure counts towards the scenario's consecutive errors."""

    switches_off: bool
    """Whether the failure's type switches the scenario off at once."""

    operations: int
    transfer_bytes: int
    cycles: int
    by_module: dict[str, int]
    """Operations by module."""

    links: dict[str, list[int]]
    """Filters by module: bundles that passed, bundles that were stopped."""

    outputs: dict[str, Any] | None


Command = CallModule | Note | WaitUntil | Yield | Commit | Rollback | KeepIncomplete | Finish
