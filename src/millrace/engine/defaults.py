"""What an error does where no error route handles it: one row per error type.

Source: integromat/imt-proto ``src/error.ts`` and Make's help on error types, read 2026-11-21
(specification "Error classes" with its rulings).
"""

from __future__ import annotations

from typing import NamedTuple


class Default(NamedTuple):
    """The consequences of one error type."""

    is_listed: bool = False
    """Make keeps such a failed bundle when incomplete executions are allowed."""

    is_retried: bool = False
    """A kept one is tried again by itself, on the back-off table."""

    is_rerun: bool = False
    """At the first module it is a warning: the scenario is started again, on the back-off table."""

    switches_off: bool = False
    """The scenario is switched off at once."""

    is_counted: bool = True
    """Counts towards the consecutive errors that pause a scenario."""

    stops: bool = False
    """Nothing more is done in this execution, although the bundle is kept."""

    is_storable: bool = True
    """False: there is nothing that a resumption could go on from."""

    is_always_kept: bool = False
    """Kept whatever the settings say, because nothing may be decided without a person."""

    is_warning: bool = False
    """Ends the execution with a warning instead of an error."""


TABLE: dict[str, Default] = {
    "UnknownError": Default(),
    "RuntimeError": Default(),
    "DataError": Default(is_listed=True, is_counted=False),
    "BundleValidationError": Default(is_listed=True, is_counted=False),
    "DuplicateDataError": Default(is_listed=True, is_counted=False),
    "InconsistencyError": Default(stops=True, is_storable=False),
    "RateLimitError": Default(is_listed=True, is_retried=True, is_rerun=True),
    "OutOfSpaceError": Default(is_listed=True, is_retried=True),
    "ConnectionError": Default(is_listed=True, is_retried=True, is_rerun=True, is_counted=False),
    "ModuleTimeoutError": Default(is_listed=True, is_retried=True, is_rerun=True, is_counted=False),
    "InvalidConfigurationError": Default(is_listed=True, switches_off=True),
    "InvalidAccessTokenError": Default(is_listed=True, switches_off=True, stops=True),
    "AccountValidationError": Default(switches_off=True, stops=True, is_storable=False),
    "UnexpectedError": Default(is_listed=True, switches_off=True),
    "MaxResultsExceededError": Default(is_listed=True, switches_off=True),
    "MaxFileSizeExceededError": Default(is_listed=True, switches_off=True),
    "IncompleteDataError": Default(),
    "OutcomeUnknownError": Default(is_listed=True, is_counted=False, is_always_kept=True),
    "ScenarioTimeoutError": Default(stops=True, is_storable=False),
    "OperationsLimitExceededError": Default(stops=True, is_storable=False),
    "DataSizeLimitExceededError": Default(stops=True, is_storable=False),
    "ExecutionInterruptedError": Default(
        stops=True, is_storable=False, is_counted=False, is_warning=True
    ),
}

RETRY_SECONDS = (60, 600, 600, 1800, 1800, 1800, 10800, 10800)
"""Waits before each retry of an incomplete execution. Source: Make's help, automatic retry."""

RERUN_SECONDS = (60, 120, 300, 600, 3600, 10800, 43200, 86400)
"""Waits before a scenario is started again when nothing was kept. Source: Make's help, back-off."""


def default_of(error_type: str) -> Default:
    """The row of an error type; an unknown type is an ordinary failure."""
    return TABLE.get(error_type, TABLE["UnknownError"])
