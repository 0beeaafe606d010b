"""Every exception of Millrace, one tree.

::

    MillraceError
    ├── ModuleError                      something went wrong while a module worked on a bundle
    │   ├── UnknownError
    │   ├── RuntimeFailure               type "RuntimeError", the default
    │   ├── DataError
    │   │   ├── BundleValidationError
    │   │   │   └── ExpressionError      a mapping cannot be parsed or evaluated
    │   │   └── DuplicateDataError
    │   ├── InconsistencyError
    │   ├── RateLimitError
    │   ├── OutOfSpaceError
    │   ├── ConnectionFailure            type "ConnectionError"
    │   ├── InvalidConfigurationError
    │   │   └── InvalidAccessTokenError
    │   ├── AccountValidationError
    │   ├── UnexpectedError
    │   ├── MaxResultsExceededError
    │   ├── MaxFileSizeExceededError
    │   ├── IncompleteDataError
    │   ├── ModuleTimeoutError
    │   ├── ScenarioTimeoutError
    │   ├── OperationsLimitExceededError
    │   ├── DataSizeLimitExceededError
    │   ├── ExecutionInterruptedError
    │   └── OutcomeUnknownError          the process died between an effect and its answer
    ├── ScenarioInvalid                  a scenario file says something it cannot mean
    ├── ManifestInvalid                  an app folder says something it cannot mean
    ├── SettingsInvalid                  a setting is unknown or cannot be what it says
    ├── RequestInvalid                   a use case was asked for something that makes no sense
    ├── NotSignedIn / NotFound / NotAllowed / Conflict / QuotaExceeded     what a use case answers
    ├── VaultError                       sealed bytes cannot be opened, or the key is unusable
    └── StorageError
        ├── StorageUnavailable
        └── LeaseLost

A ``ModuleError`` has a public ``type``: people filter on ``{{4.error.type}}``, so the names are
those of the product that scenarios are imported from. Source: integromat/imt-proto
``src/error.ts``, read 2026-11-21. What each type does to an execution stands in one table,
``engine/defaults.py``.

A message says what, where, and what to do. It never holds a secret or the content of a bundle.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar


class MillraceError(Exception):
    """Something that Millrace can name."""

    @property
    def message(self) -> str:
        """The sentence shown to people."""
        return str(self.args[0]) if self.args else type(self).__name__


class ModuleError(MillraceError):
    """A module could not do its work on a bundle.

    Args:
        message: What went wrong and what to do about it.
        detail: Plain data for the error route, as ``{{N.error.detail}}``.
        retry_after: How long the service asked us to wait, when it did.
    """

    type: ClassVar[str] = "UnknownError"

    def __init__(
        self, message: str, *, detail: Any = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.detail = detail
        self.retry_after = retry_after


class UnknownError(ModuleError):
    """A failure that fits no other type."""

    type = "UnknownError"


class RuntimeFailure(ModuleError):
    """The service refused or broke in a way the app does not classify."""

    type = "RuntimeError"


class DataError(ModuleError):
    """The service or the module refused this bundle's data; another bundle may pass."""

    type = "DataError"


class BundleValidationError(DataError):
    """A parameter is missing or has the wrong type; the module was not run."""

    type = "BundleValidationError"


class ExpressionError(BundleValidationError):
    """An expression cannot be parsed or evaluated.

    Args:
        message: What is wrong, without any value.
        position: Where in the source the trouble is, 0-based; None when unknown.
        function: The function that refused, when one did.
    """

    def __init__(
        self, message: str, *, position: int | None = None, function: str | None = None
    ) -> None:
        super().__init__(message)
        self.position = position
        self.function = function

    def __str__(self) -> str:
        where = "" if self.position is None else f" (at character {self.position + 1})"
        who = "" if self.function is None else f"{self.function}: "
        return f"{who}{self.args[0]}{where}"

    @property
    def message(self) -> str:
        """The sentence with its function and position."""
        return str(self)


class DuplicateDataError(DataError):
    """The record exists already."""

    type = "DuplicateDataError"


class InconsistencyError(ModuleError):
    """Commit or rollback itself broke; what was committed stays committed."""

    type = "InconsistencyError"


class RateLimitError(ModuleError):
    """The service asks us to slow down."""

    type = "RateLimitError"


class OutOfSpaceError(ModuleError):
    """The account at the service is full."""

    type = "OutOfSpaceError"


class ConnectionFailure(ModuleError):
    """The service cannot be reached or says that it is down."""

    type = "ConnectionError"


class InvalidConfigurationError(ModuleError):
    """The module or its connection is set up wrongly; no bundle will pass."""

    type = "InvalidConfigurationError"


class InvalidAccessTokenError(InvalidConfigurationError):
    """The connection is no longer accepted; sign in again."""

    type = "InvalidAccessTokenError"


class AccountValidationError(ModuleError):
    """The connection was refused while the execution was being initialised."""

    type = "AccountValidationError"


class UnexpectedError(ModuleError):
    """A bug: the app raised something it should not have."""

    type = "UnexpectedError"


class MaxResultsExceededError(ModuleError):
    """More results than the module may give."""

    type = "MaxResultsExceededError"


class MaxFileSizeExceededError(ModuleError):
    """A file is larger than allowed."""

    type = "MaxFileSizeExceededError"


class IncompleteDataError(ModuleError):
    """A trigger found something that is still being written; it will be asked again."""

    type = "IncompleteDataError"


class ModuleTimeoutError(ModuleError):
    """The module did not answer in its time."""

    type = "ModuleTimeoutError"


class ScenarioTimeoutError(ModuleError):
    """The execution used up its time."""

    type = "ScenarioTimeoutError"


class OperationsLimitExceededError(ModuleError):
    """The execution used up its operations."""

    type = "OperationsLimitExceededError"


class DataSizeLimitExceededError(ModuleError):
    """The execution moved more data than allowed."""

    type = "DataSizeLimitExceededError"


class ExecutionInterruptedError(ModuleError):
    """The execution was stopped by a person or by its time limit; a warning, not a failure."""

    type = "ExecutionInterruptedError"


class OutcomeUnknownError(ModuleError):
    """The process died after the module was asked to act and before its answer was kept.

    Only a person can know whether the effect happened: done, repeat or skip.
    """

    type = "OutcomeUnknownError"


class ScenarioInvalid(MillraceError):
    """A scenario cannot be used.

    Args:
        message: The first problem as a sentence.
        problems: Every problem found, each with ``path`` and ``message``.
    """

    def __init__(self, message: str, *, problems: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ManifestInvalid(MillraceError):
    """An app folder cannot be used; the message names file and place."""


class SettingsInvalid(MillraceError):
    """A setting is unknown or cannot be what it says; the message names it."""


class RequestInvalid(MillraceError):
    """What was asked for makes no sense; the message says why."""


class NotSignedIn(MillraceError):
    """Nobody is signed in, or no longer."""


class NotFound(MillraceError):
    """There is no such thing, or the asker may not know of it."""


class NotAllowed(MillraceError):
    """The asker may not do this."""


class Conflict(MillraceError):
    """The thing changed in the meantime, or exists already."""


class QuotaExceeded(MillraceError):
    """A limit of the team or of the installation is reached."""


class VaultError(MillraceError):
    """Sealed bytes cannot be opened, or the master key cannot be used."""


class StorageError(MillraceError):
    """The store refused."""


class StorageUnavailable(StorageError):
    """The database did not answer; wait and ask again."""


class LeaseLost(StorageError):
    """Another worker holds this execution now; whatever was about to be written is not."""
