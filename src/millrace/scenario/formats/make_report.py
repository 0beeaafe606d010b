"""What will become of an export of Make's here: module by module, expression by expression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from millrace.errors import ExpressionError
from millrace.expressions import OPERATOR_ALIASES, compile_template
from millrace.scenario.formats.make import NOTHING_KNOWN, MakeModule, branch_of, read_make
from millrace.scenario.formats.make_modules import Json
from millrace.scenario.model import Module, Scenario
from millrace.scenario.problems import path_of
from millrace.scenario.texts import Parts, places, route_place, texts_of

Status = Literal["runs", "needs a connection", "placeholder", "unknown"]
Lookup = Callable[[str, int | None], Any]

_PLACEHOLDER = "placeholder:Placeholder"


@dataclass(frozen=True, kw_only=True)
class ModuleReport:
    """What becomes of one module."""

    id: str
    path: str
    make: str
    """Its name there."""

    module: str
    """Its name here; the same when nothing here does its work."""

    status: Status
    """unknown: kept as it is; an execution that reaches it ends with an error that says so."""


@dataclass(frozen=True, kw_only=True)
class ExpressionReport:
    """A text with expressions that does not parse."""

    path: str
    module_id: str
    message: str


@dataclass(frozen=True, kw_only=True)
class OperatorReport:
    """An operator that is written in another way than Make's editor writes it."""

    path: str
    found: str
    read_as: str


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Something of the team's that must be chosen before the scenario can run."""

    kind: str
    """connection, webhook, data_store, key or structure."""

    name: str
    """What the scenario calls it."""

    app: str
    type: str
    """Make's type of it, such as google; empty when the export does not say."""

    label: str
    parameter: str
    modules: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What will become of an export. ``str(report)`` is a page for people."""

    name: str
    modules: tuple[ModuleReport, ...]
    expressions: int
    """Texts with expressions, in all modules."""

    broken: tuple[ExpressionReport, ...]
    operators: tuple[OperatorReport, ...]
    bindings: tuple[Binding, ...]
    notes: tuple[str, ...]

    @property
    def modules_share(self) -> float:
        """The share of modules that run, once their connections are chosen; 0 to 1."""
        counted = [one for one in self.modules if one.status != "placeholder"]
        return _share(sum(one.status != "unknown" for one in counted), len(counted))

    @property
    def expressions_share(self) -> float:
        """The share of texts with expressions that parse; 0 to 1."""
        return _share(self.expressions - len(self.broken), self.expressions)

    def as_data(self) -> dict[str, Any]:
        """The report as plain data, with the shares."""
        return {
            **asdict(self),
            "modules_share": self.modules_share,
            "expressions_share": self.expressions_share,
        }

    def __str__(self) -> str:
        return "\n".join(_page(self)) + "\n"


def compatibility(
    source: Scenario | Any,
    known: Mapping[str, MakeModule] = NOTHING_KNOWN,
    lookup: Lookup | None = None,
) -> Report:
    """Say what will become of an export.

    Args:
        source: What `read_make` gave, or what it takes.
        known: Make's module → ours, from the apps that are installed.
        lookup: The modules that exist here. Without it every module in `known` counts as existing.

    Raises:
        ScenarioInvalid: `source` is no export.
    """
    scenario = source if isinstance(source, Scenario) else read_make(source, known)
    modules: list[ModuleReport] = []
    broken: list[ExpressionReport] = []
    expressions = 0
    for at, module in places(scenario.flow):
        modules.append(_module(module, at, lookup))
        for path, text in texts_of(module, at, _static(module, lookup)):
            expressions += 1
            try:
                compile_template(text)
            except ExpressionError as error:
                broken.append(
                    ExpressionReport(path=path_of(path), module_id=module.id, message=str(error))
                )
    return Report(
        name=scenario.name,
        modules=tuple(modules),
        expressions=expressions,
        broken=tuple(broken),
        operators=tuple(_operators(scenario)),
        bindings=tuple(_bindings(scenario)),
        notes=tuple(_notes(scenario)),
    )


def _module(module: Module, at: Parts, lookup: Lookup | None) -> ModuleReport:
    was = _kept(module).get("was", module.module).strip()
    status: Status = "runs"
    if was == _PLACEHOLDER:
        status = "placeholder"
    elif not module.module.startswith("flow:"):
        is_ours = module.module != was
        if lookup is not None:
            is_ours = lookup(module.module, module.version) is not None
        status = "unknown" if not is_ours else "runs"
        if is_ours and {"connection", "key"} & module.resources.keys():
            status = "needs a connection"
    return ModuleReport(
        id=module.id, path=path_of(at), make=was, module=module.module, status=status
    )


def _kept(module: Module) -> Mapping[str, Any]:
    return module.extra.get("make", {})


def _static(module: Module, lookup: Lookup | None) -> frozenset[str]:
    traits = None if lookup is None else lookup(module.module, module.version)
    if traits is not None:
        return frozenset(one.name for one in traits.parameters if not one.is_mapped)
    return frozenset(_kept(module).get("static", ()))


def _operators(scenario: Scenario) -> Iterator[OperatorReport]:
    for at, module in places(scenario.flow):
        kept = _kept(module)
        yield from _aliases(kept.get("exact", {}).get("filter"), (*at, "filter"))
        for index, route in enumerate(module.routes):
            here = (*route_place(module, index, at), "filter")
            said: Json = route.extra.get("make", {})
            yield from _aliases(said.get("first_filter"), here)
            yield from _aliases(said.get("on_route", {}).get("filter"), here)
            yield from _aliases(branch_of(route), here)


def _aliases(said: Any, at: Parts) -> Iterator[OperatorReport]:
    rows = said.get("conditions") if isinstance(said, dict) else None
    rows = rows if isinstance(rows, list) else []
    if rows and all(isinstance(row, dict) for row in rows):
        rows = [rows]
    for row, conditions in enumerate(rows):
        for column, one in enumerate(conditions if isinstance(conditions, list) else ()):
            found = one.get("o", one.get("operator")) if isinstance(one, dict) else None
            read_as = (
                OPERATOR_ALIASES.get(found.strip().lower()) if isinstance(found, str) else None
            )
            if isinstance(found, str) and read_as:
                path = path_of((*at, row, column))
                yield OperatorReport(path=path, found=found, read_as=read_as)


def _bindings(scenario: Scenario) -> Iterator[Binding]:
    parameters = {
        (word, named): _kept(module).get("resources", {}).get(word, [""])[0]
        for module in scenario.modules()
        for word, named in module.resources.items()
    }
    for need in scenario.needs:
        for kind in ("connection", "webhook", "data_store", "key", "structure"):
            if isinstance(name := need.get(kind), str):
                yield Binding(
                    kind=kind,
                    name=name,
                    app=need.get("app", ""),
                    type=need.get("type", ""),
                    label=need.get("label", ""),
                    parameter=parameters.get((kind, name), ""),
                    modules=tuple(str(id) for id in need.get("for", ())),
                )


def _notes(scenario: Scenario) -> Iterator[str]:
    kept = scenario.extra.get("make", {})
    blueprint = kept.get("blueprint", {})
    metadata = blueprint.get("metadata")
    designer = metadata.get("designer") if isinstance(metadata, dict) else None
    orphans = designer.get("orphans") if isinstance(designer, dict) else None
    if isinstance(orphans, list) and orphans:
        yield f"{_some(len(orphans), 'chain')} of modules not attached to the flow: kept, never run"
    others = [len(one["others"]) for one in kept.get("envelope", ()) if one.get("is") == "list"]
    if sum(others):
        yield f"{_some(sum(others), 'other flow')} in the same file: kept, never run"
    for at, module in places(scenario.flow):
        path = path_of(at)
        merge = _kept(module).get("merge", {})
        if any(merge.get("filters") or ()):
            yield f"{path}: filters before a merge are kept and not carried out"
        if module.module in ("flow:router", "flow:if") and module.merge is None:
            flow, index = at[:-1], at[-1]
            if isinstance(index, int) and _follows(scenario, flow, index):
                yield f"{path}: what follows a router never runs"
        if "tools" in _kept(module).get("rest", {}):
            yield f"{path}: the tools of an agent are kept and not offered to it"


def _follows(scenario: Scenario, flow: Parts, index: int) -> bool:
    return any(at == (*flow, index + 1) for at, _ in places(scenario.flow))


def _share(part: int, whole: int) -> float:
    return 1.0 if whole == 0 else part / whole


def _some(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _page(report: Report) -> Iterator[str]:
    statuses = Counter(one.status for one in report.modules)
    counted = len(report.modules) - statuses["placeholder"]
    running = counted - statuses["unknown"]
    parsed = report.expressions - len(report.broken)
    yield report.name or "Unnamed scenario"
    yield f"modules that run: {running} of {counted} ({_percent(report.modules_share)})"
    yield (
        f"expressions that parse: {parsed} of {report.expressions} "
        f"({_percent(report.expressions_share)})"
    )
    yield ""
    rows = [("id", "in Make", "here", "")] + [
        (one.id, one.make, "" if one.status == "unknown" else one.module, _said(one))
        for one in report.modules
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield f"  {'  '.join([*cells, row[3]])}".rstrip()
    if report.bindings:
        yield from ("", "To choose before it runs:")
        for one in report.bindings:
            kind = one.kind.replace("_", " ")
            about = ", ".join(part for part in (one.app, one.type, one.label) if part)
            yield f"  {kind} “{one.name}” ({about}) for {', '.join(one.modules)}"
    if report.broken:
        yield from ("", "Expressions that do not parse:")
        yield from (f"  {one.path}: {one.message}" for one in report.broken)
    if report.operators:
        yield from ("", "Operators read as Make's editor writes them:")
        yield from (f"  {one.path}: {one.found} → {one.read_as}" for one in report.operators)
    if report.notes:
        yield from ("", "Also:")
        yield from (f"  {note}" for note in report.notes)


def _said(module: ModuleReport) -> str:
    return {
        "unknown": "no installed app offers it",
        "placeholder": "an unfinished place, passed over",
    }.get(module.status, module.status)


def _percent(share: float) -> str:
    # Rounded down: 100 % means all.
    return f"{int(share * 100)} %"
