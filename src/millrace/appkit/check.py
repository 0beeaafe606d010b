"""The rules that an app must keep, and the level that it has reached.

A rule is a function from an app to findings; the table at the end is all there is. An app is
excused from one in its own ``app.yaml``, with a reason: ``exempt: {refusal-case: "takes all"}``, or
for one module: ``exempt: {"refusal-case:get-order": "..."}``. No list of excuses is kept elsewhere.

Levels: *draft*, the rules of the first part are kept; *tested*, all are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from millrace.appkit.catalog import App, Catalog, ModuleSpec
from millrace.appkit.document import Lines, parse_yaml
from millrace.appkit.manifest import Answered, Field, Parameter, Request
from millrace.errors import ExpressionError, ManifestInvalid
from millrace.expressions import compile_template

Level = Literal["broken", "draft", "tested"]

TYPES = frozenset(
    {
        *("any", "array", "boolean", "buffer", "cert", "collection", "color", "date", "email"),
        *("file", "filename", "filter", "folder", "hidden", "integer", "json", "number"),
        *("password", "path", "pkey", "port", "select", "text", "time", "timestamp", "timezone"),
        *("udt", "uinteger", "url", "uuid"),
    }
)
_HEAVY = frozenset(
    {
        *(
            "lxml",
            "PIL",
            "pysequoia",
            "feedparser",
            "markdown_it",
            "nh3",
            "selectolax",
            "zstandard",
        ),
        *("aiosmtplib", "cryptography", "linkify_it", "mdit_py_plugins", "sqlalchemy"),
    }
)
_FORBIDDEN = frozenset(
    {
        *("httpx", "httpx2", "httpcore2", "requests", "aiohttp", "socket", "sqlite3", "subprocess"),
        *("urllib.request", "http.client", "multiprocessing", "pickle", "marshal", "ctypes"),
    }
)
_SECRET = re.compile(r"password|secret|token$|(^|_)key$|passphrase", re.IGNORECASE)
_SNAKE = re.compile(r"[a-z_][a-z0-9_]*")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_MAPPED = frozenset({"401", "403", "404", "429"})
_ASKING = frozenset({"parameters", "connection", "state", "key"})
_ANSWERED = _ASKING | {"body", "headers", "status", "item", "page", "count"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One place where a rule is not kept."""

    rule: str
    file: str
    line: int
    message: str
    """What is wrong and how to mend it."""

    subject: str = ""
    """The module it is about, without its app; empty for the app itself."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message} [{self.rule}]"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the check of an app found."""

    app: str
    findings: tuple[Finding, ...] = ()
    level: Level = "draft"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule."""

    name: str
    says: str
    level: Level
    """The level for which it must be kept."""

    find: Callable[[Subject], Iterator[Finding]] = field(repr=False)


class Subject:
    """An app being checked, with the lines of its files."""

    def __init__(self, app: App, catalog: Catalog) -> None:
        self.app = app
        self.catalog = catalog
        self.modules: list[ModuleSpec] = app.modules()
        self._lines: dict[Path, Lines] = {}

    @property
    def working(self) -> list[ModuleSpec]:
        """The modules that do something themselves."""
        return [m for m in self.modules if m.manifest.kind not in ("structure", "directive")]

    def finding(
        self,
        rule: str,
        path: Path,
        message: str,
        *place: str | int,
        module: ModuleSpec | None = None,
    ) -> Finding:
        """A finding at a place of a file."""
        lines = self._lines.get(path)
        if lines is None:
            lines = {}
            if path.suffix == ".yaml" and path.is_file():
                parse_yaml(path.read_text(encoding="utf-8"), lines=lines)
            self._lines[path] = lines
        at = list(place)
        while at and tuple(at) not in lines:
            at.pop()
        return Finding(
            rule=rule,
            file=str(path.relative_to(self.app.folder.parent)),
            line=lines.get(tuple(at), 1),
            message=message,
            subject=module.name.partition(":")[2] if module else "",
        )


def check_app(app: App, catalog: Catalog | None = None) -> Report:
    """Hold an app against every rule.

    Args:
        app: The app.
        catalog: Where connections of other apps are looked up.
    """
    try:
        # Everything is read first: what cannot be read cannot be judged.
        subject = Subject(app, catalog or Catalog([app]))
        exempt = app.manifest.exempt
        for spec in subject.modules:
            spec.cases()
        for name in app.connection_names:
            app.connection(name)
    except ManifestInvalid as error:
        file, _, rest = error.message.partition(":")
        line, _, message = rest.partition(": ")
        found = Finding(
            rule="readable",
            file=file,
            line=int(line) if line.isdigit() else 1,
            message=message or error.message,
        )
        return Report(app=app.name, findings=(found,), level="broken")
    findings: list[Finding] = []
    missed: set[Level] = set()
    used: set[str] = set()
    for rule in RULES:
        for finding in rule.find(subject):
            excuse = next(
                (e for e in (finding.rule, f"{finding.rule}:{finding.subject}") if e in exempt),
                None,
            )
            if excuse is None:
                findings.append(finding)
                missed.add(rule.level)
            else:
                used.add(excuse)
    manifest = app.folder / "app.yaml"
    for excuse in sorted(set(exempt) - used):
        message = f"nothing here breaks the rule {excuse}; remove the excuse"
        findings.append(subject.finding("excuses", manifest, message, "exempt", excuse))
        missed.add("draft")
    level: Level = "broken" if "draft" in missed else "draft" if "tested" in missed else "tested"
    return Report(app=app.name, findings=tuple(findings), level=level)


def check_catalog(catalog: Catalog) -> list[Report]:
    """Every app; and that no two modules claim to be the same one of Make's."""
    reports = [check_app(app, catalog) for app in catalog.apps()]
    claimed: dict[str, str] = {}
    for index, app in enumerate(catalog.apps()):
        if reports[index].level == "broken":
            continue
        twice: list[Finding] = []
        subject = Subject(app, catalog)
        for spec in subject.modules:
            for theirs in spec.manifest.make_modules:
                other = claimed.setdefault(theirs.module, spec.name)
                if other != spec.name:
                    message = f"{theirs.module} is already what {other} says it is"
                    twice.append(subject.finding("make", spec.path, message, "make", module=spec))
        if twice:
            reports[index] = Report(
                app=app.name, findings=(*reports[index].findings, *twice), level="broken"
            )
    return reports


def _texts(subject: Subject) -> Iterator[Finding]:
    app, manifest = subject.app, subject.app.folder / "app.yaml"
    if not app.manifest.description.endswith("."):
        yield subject.finding("texts", manifest, "give a description, one sentence", "description")
    if not _COLOUR.fullmatch(app.manifest.colour):
        yield subject.finding("texts", manifest, "write the colour as #rrggbb", "colour")
    if not app.manifest.owners:
        yield subject.finding("texts", manifest, "say who answers for it: owners: [...]", "owners")
    said: dict[str, str] = {}
    for spec in subject.modules:
        label, description = spec.manifest.label, spec.manifest.description
        if label.endswith("."):
            message = "a label is no sentence; leave the full stop out"
            yield subject.finding("texts", spec.path, message, "label", module=spec)
        if not description.endswith(".") or description.rstrip(".") == label:
            message = "give a description: a sentence that says more than the label"
            yield subject.finding("texts", spec.path, message, "description", module=spec)
        if other := said.get(description):
            message = f"the description is that of {other}; say what is different"
            yield subject.finding("texts", spec.path, message, "description", module=spec)
        said.setdefault(description, spec.name)


def _parameters(subject: Subject) -> Iterator[Finding]:
    for spec in subject.modules:
        yield from _fields_of(
            subject, spec.path, spec.manifest.parameters, ("parameters",), module=spec
        )
    for name in subject.app.connection_names:
        path = subject.app.folder / "connections" / f"{name}.yaml"
        yield from _fields_of(subject, path, subject.app.connection(name).fields, ("fields",))


def _fields_of(
    subject: Subject,
    path: Path,
    parameters: Iterable[Parameter],
    place: tuple[str | int, ...],
    module: ModuleSpec | None = None,
) -> Iterator[Finding]:
    names: set[str] = set()

    def found(message: str, *at: str | int) -> Finding:
        return subject.finding("parameters", path, message, *place, *at, module=module)

    for index, parameter in enumerate(parameters):
        name = parameter.name
        if len(place) == 1 and not _SNAKE.fullmatch(name):
            yield found(f"write the name {name} in small letters with underscores", index)
        if name in names:
            yield found(f"{name} is declared twice", index)
        names.add(name)
        if not parameter.label and parameter.type != "hidden":
            yield found(f"{name} needs a label", index)
        if parameter.type not in TYPES:
            yield found(f"{name}: there is no type {parameter.type}", index, "type")
        if parameter.item is not None and parameter.item not in TYPES:
            yield found(f"{name}: there is no type {parameter.item}", index, "item")
        if parameter.type == "select" and not parameter.options:
            yield found(f"{name}: a select needs options", index)
        if parameter.fields:
            inner = (*place, index, "fields")
            yield from _fields_of(subject, path, parameter.fields, inner, module)


def _secrets(subject: Subject) -> Iterator[Finding]:
    for name in subject.app.connection_names:
        path = subject.app.folder / "connections" / f"{name}.yaml"
        manifest = subject.app.connection(name)
        for index, parameter in enumerate(manifest.fields):
            if not parameter.secret and _SECRET.search(parameter.name):
                message = f"{parameter.name} looks like a secret: secret: true"
                yield subject.finding("secrets", path, message, "fields", index)
            if parameter.secret and parameter.default is not None:
                message = f"{parameter.name}: a secret has no default"
                yield subject.finding("secrets", path, message, "fields", index)
        signs = manifest.sign is not None or manifest.type != "custom"
        if signs and not manifest.hosts:
            message = "say where its secrets may go: hosts: [api.example.com]"
            yield subject.finding("secrets", path, message, "hosts")


def _carried_out(subject: Subject) -> Iterator[Finding]:
    for spec in subject.modules:
        manifest = spec.manifest

        def found(message: str, *place: str, spec: ModuleSpec = spec) -> Finding:
            return subject.finding("carried-out", spec.path, message, *place, module=spec)

        is_engine = manifest.kind in ("structure", "directive")
        if is_engine and (manifest.call or manifest.request):
            yield found("the engine carries it out; remove call and request", "kind")
        if is_engine:
            continue
        if manifest.effect is None:
            yield found("say what a repetition would do: effect: read, keyed, blind, ...", "kind")
        if bool(manifest.call) == bool(manifest.request):
            yield found("exactly one of call and request", "call")
        elif manifest.call:
            try:
                spec.app.function(manifest.call)
            except ManifestInvalid as error:
                yield found(error.message, "call")
        if manifest.blocking and manifest.call and _is_async(spec):
            yield found("an async function does not block; leave blocking out", "blocking")


def _is_async(spec: ModuleSpec) -> bool:
    import inspect

    try:
        function = spec.function
    except ManifestInvalid:
        return False
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _names(subject: Subject) -> Iterator[Finding]:
    """Connections and RPCs that are named exist."""
    for spec in subject.modules:
        for name in spec.manifest.connections:
            try:
                subject.catalog.connection(name, app=subject.app.name)
            except ManifestInvalid as error:
                yield subject.finding("names", spec.path, error.message, "connection", module=spec)
        for index, parameter in enumerate(spec.manifest.parameters):
            if isinstance(parameter.options, str):
                _, _, rpc = parameter.options.partition("rpc.")
                try:
                    subject.app.rpc(rpc)
                except ManifestInvalid as error:
                    yield subject.finding(
                        "names", spec.path, error.message, "parameters", index, module=spec
                    )


def _expressions(subject: Subject) -> Iterator[Finding]:
    """Every template parses and names what exists in that place."""
    for spec in subject.modules:
        manifest = spec.manifest
        for key, part in (("request", manifest.request), ("response", manifest.response)):
            if part is None:
                continue
            for place, text in _templates(part, (key,)):
                is_asking = key == "request" and "paging" not in place
                known = _ASKING if is_asking else _ANSWERED
                if problem := _problem_of(text, known):
                    yield subject.finding("expressions", spec.path, problem, *place, module=spec)


def _templates(
    value: Any, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        if "{{" in value:
            yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _templates(inner, (*place, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _templates(inner, (*place, index))
    elif isinstance(value, Request | Answered) or hasattr(value, "__struct_fields__"):
        for name in value.__struct_fields__:
            yield from _templates(getattr(value, name), (*place, name))


def _problem_of(text: str, known: frozenset[str]) -> str | None:
    try:
        template = compile_template(text)
    except ExpressionError as error:
        return error.message
    unknown = sorted(template.references - known)
    if unknown:
        return f"there is no {unknown[0]} here; known are {', '.join(sorted(known))}"
    return None


def _samples(subject: Subject) -> Iterator[Finding]:
    for spec in subject.modules:
        sample, interface = spec.manifest.sample, spec.manifest.interface
        names = {declared.name for declared in interface}
        # No name in common: what it gives depends on the user's data; the sample is an example.
        if isinstance(sample, dict) and names & set(sample):
            for key in sorted(set(sample) - names):
                message = f"the sample holds {key}, the interface does not"
                yield subject.finding("samples", spec.path, message, "sample", key, module=spec)
        for index, declared in enumerate(interface):
            for problem in _interface_problems(declared):
                yield subject.finding(
                    "samples", spec.path, problem, "interface", index, module=spec
                )


def _interface_problems(declared: Field) -> Iterator[str]:
    if declared.type not in TYPES:
        yield f"{declared.name}: there is no type {declared.type}"
    if not declared.label:
        yield f"{declared.name} needs a label"
    for inner in declared.fields:
        yield from _interface_problems(inner)


def _error_map(subject: Subject) -> Iterator[Finding]:
    """Only of apps that say requests in YAML: functions decide for themselves."""
    if not any(spec.manifest.request for spec in subject.modules):
        return
    rules = subject.app.manifest.errors
    covered = {status for status in _MAPPED if status in rules or f"{status[0]}xx" in rules}
    covered |= _MAPPED if "*" in rules else set()
    for missing in sorted(_MAPPED - covered):
        message = (
            f"say what status {missing} means: errors: {{{missing}: {{type: ..., message: ...}}}}"
        )
        yield subject.finding("error-map", subject.app.folder / "app.yaml", message, "errors")


def _imports(subject: Subject) -> Iterator[Finding]:
    """What an app may import, and what it may import only inside a function."""
    own = f"millrace.apps.{subject.app.folder.name}"
    for path in sorted(subject.app.folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            for name in _imported(node):
                root = name.partition(".")[0]
                message = None
                if name in _FORBIDDEN or root in _FORBIDDEN:
                    message = f"an app may not import {name}; use what the call offers"
                elif root == "millrace" and not (
                    name.startswith((own, "millrace.errors"))
                    or name in ("millrace.appkit", "millrace.appkit.call")
                ):
                    message = f"an app may not import {name}, only millrace.appkit and errors"
                elif root in _HEAVY and id(node) in top:
                    message = f"import {name} inside the function that needs it"
                if message:
                    finding = subject.finding("imports", path, message)
                    yield Finding(
                        rule=finding.rule, file=finding.file, line=node.lineno, message=message
                    )


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if node.level == 0 and node.module:
        if node.module in ("urllib", "http", "millrace"):
            return [f"{node.module}.{alias.name}" for alias in node.names]
        return [node.module]
    return []


def _folder(subject: Subject) -> Iterator[Finding]:
    for name, why in (
        ("README.md", "for people: how to sign in, limits, known traps"),
        ("icon.svg", "a drawing of 24 by 24"),
        ("__init__.py", "empty, so that its functions can be imported"),
    ):
        if not (subject.app.folder / name).is_file():
            yield subject.finding("folder", subject.app.folder / name, f"there is no {name}: {why}")
    modules = {path.name for path in (subject.app.folder / "modules").glob("*.yaml")}
    for path in sorted((subject.app.folder / "cases").glob("*.yaml")):
        if path.name not in modules:
            yield subject.finding("folder", path, f"there is no modules/{path.name} for it")


def _case_names(subject: Subject) -> Iterator[Finding]:
    for spec in subject.modules:
        seen: set[str] = set()
        path = subject.app.folder / "cases" / spec.path.name
        for index, case in enumerate(spec.cases()):
            if case.case in seen:
                message = "two cases have this name"
                yield subject.finding("case-names", path, message, index, module=spec)
            seen.add(case.case)
            if case.error is not None and case.bundles is not None:
                message = "a case ends with bundles or with an error, not both"
                yield subject.finding("case-names", path, message, index, module=spec)


def _success(subject: Subject) -> Iterator[Finding]:
    for spec in subject.working:
        if not any(case.error is None for case in spec.cases()):
            message = f"no case shows it succeed; write one in cases/{spec.path.name}"
            yield subject.finding("success-case", spec.path, message, module=spec)


def _refusal(subject: Subject) -> Iterator[Finding]:
    for spec in subject.working:
        if not (spec.manifest.parameters or spec.manifest.connections):
            continue
        if not any(case.error is not None for case in spec.cases()):
            message = f"no case shows it refuse; write one in cases/{spec.path.name}"
            yield subject.finding("refusal-case", spec.path, message, module=spec)


def _rule(
    name: str, says: str, find: Callable[[Subject], Iterator[Finding]], level: Level = "draft"
) -> Rule:
    return Rule(name=name, says=says, find=find, level=level)


RULES: tuple[Rule, ...] = (
    _rule("texts", "labels and descriptions are there and say something", _texts),
    _rule("parameters", "parameters have names, labels and known types", _parameters),
    _rule("secrets", "secrets are marked and bound to hosts", _secrets),
    _rule("carried-out", "every module says how it is carried out, and its effect", _carried_out),
    _rule("names", "connections and RPCs that are named exist", _names),
    _rule("expressions", "expressions parse and name what exists there", _expressions),
    _rule("samples", "samples match their interface", _samples),
    _rule("error-map", "401, 403, 404 and 429 have a meaning", _error_map),
    _rule("imports", "the app stays on its island, heavy libraries wait", _imports),
    _rule("folder", "the folder is complete", _folder),
    _rule("case-names", "cases tell what they show", _case_names),
    _rule("success-case", "each module has a case of success", _success, "tested"),
    _rule("refusal-case", "each module has a case of refusal", _refusal, "tested"),
)
"""Everything that `millrace app check` looks at."""
