"""What one execution may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one execution may use before it is stopped. None: no limit."""

    operations: int | None = None
    """Modules run, over all cycles; when reached: OperationsLimitExceededError, rolled back."""

    transfer_bytes: int | None = None
    """Data that entered; when passed: DataSizeLimitExceededError, rolled back."""

    seconds: float | None = None
    """Time from the start; when passed: ExecutionInterruptedError, a warning. Make: 2,400."""
