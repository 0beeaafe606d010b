"""Carries out one operation: a module works on one bundle, and what came of it is an event."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from inspect import isawaitable
from time import perf_counter_ns
from typing import Any

import msgspec

from millrace.appkit.call import Call
from millrace.engine.commands import CallModule
from millrace.engine.events import Failure, ModuleAnswered, ModuleFailed
from millrace.errors import ModuleError, ModuleTimeoutError, UnexpectedError
from millrace.runtime.bindings import Bindings
from millrace.runtime.journal import Record, encode, milliseconds
from millrace.runtime.ledger import Ledger, plain
from millrace.runtime.pages import Page, Pages
from millrace.runtime.program import Operator
from millrace.runtime.services import CallContext

_LOG = logging.getLogger(__name__)

EFFECTS = frozenset({"keyed", "checkable", "blind"})
"""What changes something outside: its intent is on disk before, its answer at once after."""

SMALL_BYTES = 1024
"""Data of a bundle below this is not charged; see `Operations._transfer`."""


class Operations:
    """Carries out the operations of one execution.

    Args:
        ledger: Takes the records, and says when the disk has caught up.
        context: What all calls share.
        bindings: What modules work with; to be opened before the first call.
        module_timeout_seconds: For modules whose manifest says nothing.
    """

    __slots__ = ("_bindings", "_context", "_ledger", "_module_timeout_seconds", "_nodes", "_pages")

    def __init__(
        self,
        ledger: Ledger,
        context: CallContext,
        bindings: Bindings,
        *,
        module_timeout_seconds: float,
    ) -> None:
        self._ledger = ledger
        self._context = context
        self._bindings = bindings
        self._module_timeout_seconds = module_timeout_seconds
        self._nodes = ledger.job.program.plan.nodes
        self._pages = Pages()

    def run(self, command: CallModule, operator: Operator) -> ModuleAnswered | ModuleFailed:
        """A module that waits for nothing: run it here and now."""
        began = perf_counter_ns()
        ledger, pages = self._ledger, self._pages
        at = ledger.tick()
        try:
            stream = pages.begun(command) if command.page else None
            if stream is None:
                call = self._call(command, operator)
                bundles, has_more = pages.first(command, operator.run(call))
                if call.response is not None:
                    ledger.responses.append(call.response)
            else:
                bundles, has_more = pages.next(command, stream)
        except ModuleError as error:
            ledger.transaction.undo()
            return self._failed(command, error, at, began)
        except Exception as error:  # noqa: BLE001 - apps are others' code; logged in _unexpected
            ledger.transaction.undo()
            return self._failed(command, _unexpected(error), at, began)
        ledger.transaction.done()
        return self._answered(command, bundles, has_more, at, began)

    async def wait_for(
        self, command: CallModule, operator: Operator | None
    ) -> ModuleAnswered | ModuleFailed:
        """A module that touches the outside, or takes its time."""
        ledger = self._ledger
        if operator is None:
            message = "this module cannot be called; it is part of the scenario's structure"
            error = UnexpectedError(message)
            return self._failed(command, error, ledger.tick(), perf_counter_ns())
        effect = operator.effect_of(command.parameters)
        if command.call in ledger.intents and effect in ("blind", "checkable"):
            return self._unknown(command)
        if effect in EFFECTS:
            await ledger.intend(command)
        else:
            await ledger.catch_up()
        began = perf_counter_ns()
        seconds = operator.spec.manifest.timeout_seconds or self._module_timeout_seconds
        call = self._call(command, operator)
        call.timeout = timedelta(seconds=seconds)
        try:
            async with asyncio.timeout(seconds):
                bundles, has_more = await self._page(command, operator, call)
        except TimeoutError:
            message = f"no answer within {seconds:g} seconds. Ask for less, or allow more time"
            return self._failed(command, ModuleTimeoutError(message), ledger.tick(), began)
        except ModuleError as error:
            return self._failed(command, error, ledger.tick(), began)
        except Exception as error:  # noqa: BLE001 - apps are others' code; logged in _unexpected
            return self._failed(command, _unexpected(error), ledger.tick(), began)
        finally:
            ledger.is_owed = ledger.is_owed or effect in EFFECTS
        if call.response is not None:
            ledger.responses.append(call.response)
        transfer = 0 if effect == "pure" or command.page else self._transfer(bundles)
        return self._answered(command, bundles, has_more, ledger.tick(), began, transfer)

    def _call(self, command: CallModule, operator: Operator) -> Call:
        ledger, context = self._ledger, self._context
        call = Call(
            parameters=command.parameters,
            context=context,
            now=ledger.now,
            module_id=command.module,
            bundles=command.bundles,
            key=command.key,
        )
        if operator.effect != "pure":
            call.http = context.http
        if operator.resources:
            self._bindings.bind(call, operator, now_ms=milliseconds(ledger.now))
        if operator.uses_state:
            call.state = ledger.states.setdefault(command.module, {})
        return call

    async def _page(self, command: CallModule, operator: Operator, call: Call) -> Page:
        """Ask the module, or its stream for the next page; what blocks does so in a thread."""
        loop, pages, is_blocking = (
            asyncio.get_running_loop(),
            self._pages,
            operator.spec.is_blocking,
        )
        stream = pages.begun(command)
        if stream is not None:
            answer, take = stream, pages.next
        else:
            take = pages.first
            if is_blocking:
                answer = await loop.run_in_executor(None, operator.run, call)
            else:
                answer = operator.run(call)
            if isawaitable(answer):
                answer = await answer
        if isinstance(answer, AsyncIterator):
            return await pages.take(command, answer, is_new=stream is None)
        if is_blocking and isinstance(answer, Iterator):
            return await loop.run_in_executor(None, take, command, answer)
        return take(command, answer)

    def _answered(
        self,
        command: CallModule,
        bundles: list[dict[str, Any]],
        has_more: bool,
        at: datetime,
        began: int,
        transfer: int = 0,
    ) -> ModuleAnswered:
        ledger = self._ledger
        extra: dict[str, Any] | None = None
        if has_more or transfer or command.warnings:
            extra = {"more": has_more, "transfer": transfer}
            if command.warnings:
                extra["warnings"] = command.warnings
        writes = ledger.transaction.writes
        if writes or command.module in ledger.states:
            extra = {**(extra or {}), **ledger.uncommitted(command.module)}
        took = (perf_counter_ns() - began) // 1000
        given = None if command.page else _input(command)
        files = ledger.record(
            Record("a", command.call, command.module, at, took, given, bundles, None, extra)
        )
        if writes and ledger.auto_commit:
            ledger.take_writes()
        return ModuleAnswered(
            command.call, at, bundles, has_more, transfer, tuple(files) if files else ()
        )

    def _failed(
        self, command: CallModule, error: ModuleError, at: datetime, began: int
    ) -> ModuleFailed:
        # A repetition asks the module anew.
        self._pages.drop(command)
        failure = Failure.of(error)
        failure = msgspec.structs.replace(
            failure,
            module=command.module,
            message=f"{self._nodes[command.node].label}: {failure.message}",
        )
        took = (perf_counter_ns() - began) // 1000
        given = None if command.page else _input(command)
        return self._record_failure(command, failure, at, took, given)

    def _unknown(self, command: CallModule) -> ModuleFailed:
        """The process died between this effect and its answer: nobody can know if it happened."""
        message = (
            f"{self._nodes[command.node].label}: the process stopped while this module was "
            "acting; whether it acted is not known. Look at the service, then choose done, "
            "repeat or skip"
        )
        failure = Failure("OutcomeUnknownError", message, module=command.module)
        return self._record_failure(command, failure, self._ledger.tick())

    def _record_failure(
        self, command: CallModule, failure: Failure, at: datetime, took: int = 0, given: Any = None
    ) -> ModuleFailed:
        call, module = command.call, command.module
        self._ledger.record(Record("f", call, module, at, took, given, None, plain(failure)))
        return ModuleFailed(call, at, failure)

    def _transfer(self, bundles: list[dict[str, Any]]) -> int:
        """Data that enters the scenario, in bytes, files excluded (the engine counts those once).

        What is smaller than a kilobyte is not charged: the seeds' examples count the image, not the
        few bytes that say its name.
        """
        size = len(encode(bundles)) if bundles else 0
        return size if size >= SMALL_BYTES else 0


def _input(command: CallModule) -> Any:
    if command.bundles:
        return {**command.parameters, "gathered": command.bundles}
    return command.parameters


def _unexpected(error: Exception) -> UnexpectedError:
    """A bug in an app: named, logged with its trace, its text kept from people's eyes."""
    _LOG.error("an app raised what it should not have", exc_info=error)
    return UnexpectedError(
        f"the app has a bug ({type(error).__name__}). The server's log tells its maintainers more"
    )
