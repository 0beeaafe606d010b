"""Run the cases of an app: each is a test and an example of its page at once.

A case gives a module its parameters, the files, the connection, what the service will answer, and
says which bundles or which error must come of it. Nothing outside is touched: files and records are
in memory, the clock stands still, the service is the list of exchanges.

Values that YAML cannot write: ``{$file: photo}`` (declared under ``files``; its ``path`` is beside
the case), ``{$date: 2026-01-01}``, ``{$bytes: aGVsbG8=}``. Expected values may also say
``{$any: true}`` or ``{$matches: regex}``, and a file is compared by what is given of
``{$file: {name, media_type, size_bytes, text, base64}}``.
"""

from __future__ import annotations

import base64
import inspect
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from millrace.appkit.auth import Tokens, filled_fields, open_connection
from millrace.appkit.call import Bundle, Call
from millrace.appkit.catalog import ModuleSpec
from millrace.appkit.exchange import ExchangeDiffers, ExchangeService
from millrace.appkit.guard import Guard, GuardedDialer
from millrace.appkit.http import BoundHttp, CookieJar, HttpClient
from millrace.appkit.manifest import Case, ConnectionManifest
from millrace.appkit.memory import MemoryFiles, MemoryRecords
from millrace.appkit.run import operate, prepare_parameters
from millrace.errors import ManifestInvalid, ModuleError
from millrace.expressions.values import Binary

_LOG = logging.getLogger("millrace.case")


@dataclass(kw_only=True)
class Outcome:
    """What came of a case."""

    bundles: list[Bundle] = field(default_factory=list)
    error: ModuleError | None = None
    response: Any = None
    state: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Bundle] = field(default_factory=dict)
    exchange: list[str] = field(default_factory=list)
    """Where the exchanges differ from those expected."""

    files: MemoryFiles = field(default_factory=MemoryFiles)


@dataclass(kw_only=True)
class CaseContext:
    """What the calls of one case share; see ``call.Context``."""

    files: MemoryFiles
    zone: Any = UTC
    http: Any = None
    dialer: Any = field(default_factory=lambda: GuardedDialer(Guard()))
    log: logging.Logger = _LOG


async def run_case(spec: ModuleSpec, case: Case) -> Outcome:
    """Run one case.

    Raises:
        ManifestInvalid: the case itself cannot be run.
    """
    if spec.manifest.kind in ("structure", "directive"):
        raise ManifestInvalid(f"{spec.name}: the engine carries it out; it can have no cases")
    outcome = Outcome()
    given = _Given(case, spec, outcome.files)
    records = MemoryRecords(
        given.values(case.records), structure=case.structure, is_strict=case.strict
    )
    outcome.state = given.values(case.state)
    now = _instant(case.now)
    zone = ZoneInfo(case.timezone)
    service = ExchangeService(case.exchange)
    http = _http(spec, case, service, now=now, files=outcome.files)
    context = CaseContext(files=outcome.files, zone=zone, http=http)
    try:
        is_aggregator = spec.traits.kind == "aggregator"
        parameters = prepare_parameters(
            spec.traits,
            given.values(case.parameters),
            zone=zone,
            only=lambda parameter: not (is_aggregator and parameter.is_mapped),
        )
        gathered = [
            prepare_parameters(
                spec.traits,
                given.values(values),
                zone=zone,
                only=lambda parameter: parameter.is_mapped,
            )
            for values in case.gathered
        ]
        call = Call(
            parameters=parameters,
            bundles=gathered,
            context=context,
            now=now,
            module_id="1",
            connection=None
            if case.connection is None
            else filled_fields(_connection_type(spec, case), given.values(case.connection)),
            http=http,
            key=case.key,
            state=outcome.state,
            records=records,
        )
        async for bundle in bundles_of(operate(spec, call)):
            outcome.bundles.append(bundle)
        outcome.response = call.response
    except ModuleError as error:
        outcome.error = error
    except ExchangeDiffers as difference:
        outcome.exchange.append(str(difference))
    outcome.exchange += [f"this request did not come: {line}" for line in service.unused]
    outcome.records = records.records
    return outcome


def differences(case: Case, outcome: Outcome) -> list[str]:
    """Where an outcome is not what its case says; empty when it is."""
    found = list(outcome.exchange)
    files = outcome.files
    if case.error is not None:
        if outcome.error is None:
            found.append(f"expected {case.error.type}, got {outcome.bundles!r}")
        elif outcome.error.type != case.error.type or (
            case.error.message not in outcome.error.message
        ):
            found.append(
                f"expected {case.error.type}: {case.error.message}\n"
                f"     got {outcome.error.type}: {outcome.error.message}"
            )
    elif outcome.error is not None:
        found.append(f"failed: {outcome.error.type}: {outcome.error.message}")
    if case.error is None and case.bundles is not None and outcome.error is None:
        found += _compare(list(case.bundles), outcome.bundles, "bundles", files)
    if case.response is not None:
        found += _compare(case.response, outcome.response, "response", files)
    if case.state_after is not None:
        found += _compare(case.state_after, outcome.state, "state_after", files)
    if case.records_after is not None:
        found += _compare(case.records_after, outcome.records, "records_after", files)
    return found


async def bundles_of(answer: Any) -> AsyncIterator[Bundle]:
    """The bundles of any `Answer`, awaited or not, one by one."""
    if isinstance(answer, Awaitable):
        answer = await answer
    if answer is None:
        return
    if isinstance(answer, Mapping):
        yield answer  # type: ignore[misc]
    elif isinstance(answer, AsyncIterator):
        async for bundle in answer:
            yield bundle
    elif isinstance(answer, Sequence | Iterator) and not isinstance(answer, str | bytes):
        for bundle in answer:
            yield bundle
    else:
        kind = "a generator function" if inspect.isfunction(answer) else type(answer).__name__
        raise ManifestInvalid(f"a function answered with {kind}; see appkit.call.Answer")


class _Given:
    """Turns the values that a case writes into those that a module receives."""

    def __init__(self, case: Case, spec: ModuleSpec, files: MemoryFiles) -> None:
        self._files = {
            name: self._keep(name, declared, spec, files) for name, declared in case.files.items()
        }

    def _keep(
        self, key: str, declared: Mapping[str, Any], spec: ModuleSpec, files: MemoryFiles
    ) -> Binary:
        if unknown := set(declared) - {"path", "base64", "text", "name", "media_type"}:
            raise ManifestInvalid(f"{spec.name}: files.{key}: unknown key {min(unknown)}")
        if "path" in declared:
            path = spec.app.folder / "cases" / declared["path"]
            content, name = path.read_bytes(), path.name
        elif "base64" in declared:
            content, name = base64.b64decode(declared["base64"]), key
        else:
            content, name = str(declared.get("text", "")).encode(), key
        return files.keep(
            content,
            name=declared.get("name", name),
            media_type=declared.get("media_type", "application/octet-stream"),
        )

    def values(self, value: Any) -> Any:
        """The value with its marks replaced."""
        if isinstance(value, dict):
            if len(value) == 1:
                mark, content = next(iter(value.items()))
                if mark == "$file":
                    if content not in self._files:
                        raise ManifestInvalid(f"the case declares no file {content}")
                    return self._files[content]
                if mark == "$date":
                    return _instant(content)
                if mark == "$bytes":
                    return base64.b64decode(content)
            return {key: self.values(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.values(inner) for inner in value]
        return value


def _http(
    spec: ModuleSpec, case: Case, service: ExchangeService, *, now: datetime, files: MemoryFiles
) -> BoundHttp:
    """The real client over the service of the case, with a clock that moves when it waits."""
    clock = CaseClock(now)
    client = HttpClient(transport=service, clock=clock, sleep=clock.sleep)
    signer = None
    if case.connection is not None:
        signer = open_connection(
            _connection_type(spec, case),
            case.connection,
            app=spec.app.name,
            connection_id="case",
            client=client,
            tokens=Tokens(),
        )
    return client.bind(files=files, signer=signer, cookies=CookieJar())


def _connection_type(spec: ModuleSpec, case: Case) -> ConnectionManifest:
    types = spec.manifest.connections
    chosen = case.connection_type or (types[0] if types else "")
    if not chosen:
        raise ManifestInvalid(f"{spec.name}: {case.case}: the module takes no connection")
    return spec.app.connection(chosen.rpartition(":")[2])


class CaseClock:
    """A clock that moves only when somebody waits."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """The present instant of the case."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self._now += timedelta(seconds=seconds)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _compare(expected: Any, actual: Any, path: str, files: MemoryFiles) -> list[str]:
    """Every place where two values differ."""
    if isinstance(expected, dict) and len(expected) == 1:
        mark, content = next(iter(expected.items()))
        if mark == "$any":
            return []
        if mark == "$matches":
            is_match = isinstance(actual, str) and re.search(content, actual)
            return [] if is_match else [f"{path}: {actual!r} does not match {content}"]
        if mark == "$file":
            return _compare_file(content, actual, path, files)
        if mark == "$date":
            expected = _instant(content)
        elif mark == "$bytes":
            expected = base64.b64decode(content)
    if isinstance(actual, datetime) and isinstance(expected, str):
        expected = _instant(expected)
    if isinstance(expected, dict) and isinstance(actual, Mapping):
        found = [f"{path}.{key}: missing" for key in expected if key not in actual]
        found += [
            f"{path}.{key}: unexpected {actual[key]!r}" for key in actual if key not in expected
        ]
        for key in expected:
            if key in actual:
                found += _compare(expected[key], actual[key], f"{path}.{key}", files)
        return found
    if isinstance(expected, list) and isinstance(actual, list | tuple):
        found = []
        if len(expected) != len(actual):
            found.append(f"{path}: {len(expected)} expected, got {len(actual)}: {actual!r}")
        for index, (left, right) in enumerate(zip(expected, actual, strict=False)):
            found += _compare(left, right, f"{path}[{index}]", files)
        return found
    is_same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
    return [] if is_same else [f"{path}: expected {expected!r}, got {actual!r}"]


def _compare_file(expected: Any, actual: Any, path: str, files: MemoryFiles) -> list[str]:
    if not isinstance(actual, Binary):
        return [f"{path}: expected a file, got {actual!r}"]
    found: list[str] = []
    for key, value in expected.items():
        if key in ("text", "base64"):
            wanted = value.encode() if key == "text" else base64.b64decode(value)
            if files.read(actual) != wanted:
                found.append(
                    f"{path}: expected content {wanted!r}, got {files.read(actual)[:200]!r}"
                )
        elif key in ("name", "media_type", "size_bytes"):
            found += _compare(value, getattr(actual, key), f"{path}.{key}", files)
        else:
            found.append(f"{path}: a file has no {key}")
    return found
