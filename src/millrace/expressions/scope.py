"""What an expression can see: bundles, names, the time, and how much work it may do.

A ``Scope`` is made once per execution and changed between evaluations by the engine; it is the hot
path, so it is a plain class with slots and no checks.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from typing import Any, Final

from millrace.errors import ExpressionError
from millrace.expressions.values import Binary

MAX_STEPS: Final = 100_000
"""Elements one hole may visit (a kilobyte of text counts as one). A 10 MB text fits ten times."""

MAX_OUTPUT: Final = 10 * 1024 * 1024
"""Characters or bytes one evaluation may make; checked before anything is allocated."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Marker:
    """A value that is an instruction, not data. Compare with ``is``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __bool__(self) -> bool:
        return False

    def __copy__(self) -> Marker:
        return self

    def __deepcopy__(self, memo: Any) -> Marker:
        return self

    def __reduce__(self) -> str:
        return self.name.upper()


IGNORE: Final = Marker("ignore")
"""The value of the keyword ``ignore``: behave as if the parameter were not there at all."""

ERASE: Final = Marker("erase")
"""The value of the keyword ``erase``: clear the field at the service."""


class Scope:
    """The names an expression can see, and nothing else.

    Args:
        bundles: Module id as text to that module's current bundle. Read first.
        names: Every other first step: ``var``, ``executionId``, ``scenarioName``, ... Read second.
        now: The present instant, aware, in UTC; `now` and `timestamp` give it.
        entropy: Seed of `random`, `uuid` and `shuffle`. The same seed gives the same sequence, so a
            replay of an operation gives the same values.
        zone: The scenario's time zone: what dates are read, shown and reckoned in.
        read_bytes: Opens a file. None where no file may be opened: functions then refuse files.
        warnings: When a list, the names of missing references are added to it, each once.
    """

    __slots__ = (
        "_draws",
        "bundles",
        "entropy",
        "names",
        "now",
        "read_bytes",
        "steps",
        "warnings",
        "zone",
    )

    def __init__(
        self,
        *,
        bundles: dict[str, Any] | None = None,
        names: dict[str, Any] | None = None,
        now: datetime = EPOCH,
        entropy: str = "",
        zone: tzinfo = UTC,
        read_bytes: Callable[[Binary], bytes] | None = None,
        warnings: list[str] | None = None,
    ) -> None:
        self.bundles: dict[str, Any] = {} if bundles is None else bundles
        self.names: dict[str, Any] = {} if names is None else names
        self.now = now
        self.entropy = entropy
        self.zone = zone
        self.read_bytes = read_bytes
        self.warnings = warnings
        self.steps = MAX_STEPS
        self._draws = 0

    def begin(self, *, now: datetime, entropy: str, warnings: list[str] | None = None) -> None:
        """Start the evaluations of one operation: its time, its seed, its own list of warnings."""
        self.now = now
        self.entropy = entropy
        self.warnings = warnings
        self.steps = MAX_STEPS
        self._draws = 0

    def spend(self, steps: int) -> None:
        """Take steps from the budget.

        Raises:
            ExpressionError: nothing is left.
        """
        self.steps -= steps
        if self.steps < 0:
            raise ExpressionError(
                f"the expression needs more than {MAX_STEPS} steps; work on fewer items at a time"
            )

    def draw(self) -> bytes:
        """The next 32 bytes of the deterministic random sequence."""
        self._draws += 1
        return sha256(f"{self.entropy}:{self._draws}".encode("utf-8", "surrogatepass")).digest()

    def bytes_of(self, binary: Binary) -> bytes:
        """The content of a file.

        Raises:
            ExpressionError: files cannot be opened here, or the file is too large for an
            expression.
        """
        if self.read_bytes is None:
            raise ExpressionError("the content of a file cannot be read here")
        if binary.size_bytes > MAX_OUTPUT:
            raise ExpressionError(
                f"the file is larger than the {MAX_OUTPUT} bytes an expression may read"
            )
        return self.read_bytes(binary)


def check_size(size: int) -> None:
    """Refuse a text or byte string before it is made.

    Raises:
        ExpressionError: it would be larger than an evaluation may produce.
    """
    if size > MAX_OUTPUT:
        raise ExpressionError(f"the result would be larger than {MAX_OUTPUT} characters")
