"""Write docs/reference/ from the code, or (with --check) say which of its pages are stale.

Nothing in docs/reference/ is written by hand: a page that could differ from the code would, one
day, do so. The pages are the same on every machine: no dates, no paths, no order of a file system.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
HEAD = "<!-- Made by `make docs`. Do not edit: the next run overwrites it. -->\n\n"
EXAMPLE_LINES = 30
"""A longer case is no help on an app's page; the file is named instead."""

Pages = dict[str, str]


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is stale")
    is_check = parser.parse_args().check
    wanted = pages()
    there = {
        str(path.relative_to(REFERENCE)): path.read_text(encoding="utf-8")
        for path in REFERENCE.rglob("*")
        if path.is_file()
    }
    stale = sorted(
        name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
    )
    if is_check:
        for name in stale:
            print(f"docs/reference/{name}")
        if stale:
            print("Stale docs: run make docs")
        return 1 if stale else 0
    for name in stale:
        path = REFERENCE / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name], encoding="utf-8")
        else:
            path.unlink()
        print(f"docs/reference/{name}{'' if name in wanted else ' removed'}")
    return 0


def pages() -> Pages:
    """Every page of the reference: path below docs/reference/ → text."""
    from millrace.appkit.manifest import json_schema as app_schema
    from millrace.scenario.schema import json_schema as scenario_schema

    schema = scenario_schema()
    found = {
        "functions.md": HEAD + functions(),
        "operators.md": HEAD + operators(),
        "scenario.md": HEAD + scenario(schema),
        "cli.md": HEAD + commands(),
        "settings.md": HEAD + settings(),
        "errors.md": HEAD + errors(),
        "scenario.schema.json": _json(schema),
        "app.schema.json": _json(app_schema()),
        "openapi.json": _json(openapi()),
    }
    found |= apps()
    return found


# What a page says, one function per page.


def functions() -> str:
    """The functions of the language, by group, each with its examples."""
    from millrace.expressions import FUNCTIONS

    lines = [
        "# Functions",
        "",
        f"The {len(FUNCTIONS)} functions that an expression can call. Arguments are parted by `;`, "
        "optional ones stand in brackets, `...` means any number of them. Every example is run by "
        "the tests. Conditions of filters have [operators](operators.md) of their own.",
        "",
    ]
    groups = _by_group(FUNCTIONS)
    for name, found in groups.items():
        specs = [spec for _, spec in found]
        links = " · ".join(f"[{spec.name}](#{spec.name.lower()})" for spec in specs)
        lines += [f"**{name.capitalize()}**: {links}", ""]
    for name, found in groups.items():
        lines += [f"## {name.capitalize()} functions", ""]
        for _, spec in found:
            lines += [f"### {spec.name}", "", f"`{spec.signature}`", "", spec.doc, ""]
            if spec.examples:
                lines.append("```text")
                lines += [f"{source} → {_shown(result)}" for source, result in spec.examples]
                lines += ["```", ""]
    return _text(lines)


def operators() -> str:
    """The operators of filters, by what both sides are read as."""
    from millrace.expressions import OPERATOR_ALIASES, OPERATORS

    lines = [
        "# Operators of filters",
        "",
        "A condition is `{a: left, o: operator, b: right}`. Without `o` it means `text:equal`, or "
        "`exist` when there is no `b`. Both sides are read as the group says; a side that cannot "
        "be read so makes the condition false, never an error. The operators of expressions (`+`, "
        "`=`, `&`, …) are described in [the expression language](../explain/expressions.md).",
        "",
    ]
    for group, found in _by_group(OPERATORS).items():
        rows = [(f"`{name}`", spec.label, "" if spec.unary else "yes") for name, spec in found]
        lines += [f"## {group.capitalize()}", "", *_table(("Operator", "Means", "Takes `b`"), rows)]
    lines += [
        f"{len(OPERATOR_ALIASES)} other spellings (`number:gt`, `str:equals`, …) are understood "
        "when a file is read.",
        "",
    ]
    return _text(lines)


def scenario(schema: dict[str, Any]) -> str:
    """The keys of a scenario file, from its JSON Schema."""
    lines = [
        "# The scenario file",
        "",
        "YAML for people, JSON for machines, the same model. A key that is not listed here is an "
        "error. Editors complete and underline with [scenario.schema.json](scenario.schema.json). "
        "Complete files stand in [examples/scenarios](../../examples/scenarios).",
        "",
        "## The file",
        "",
        *_keys(schema),
    ]
    for title, part in _parts_of(schema):
        lines += [f"## {title}", "", *_keys(part)]
    return _text(lines)


def commands() -> str:
    """The help of every command."""
    import click

    from millrace.cli.main import cli

    lines = ["# Command line", "", "What `millrace` and its commands say with `--help`.", ""]

    def walk(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(
            command, info_name=name, parent=parent, terminal_width=80, **command.context_settings
        )
        lines.extend([f"## {context.command_path}", "", "```text"])
        lines.extend([command.get_help(context).rstrip(), "```", ""])
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None
                if not found.hidden:
                    walk(found, child, context)

    walk(cli, "millrace", None)
    return _text(lines)


def settings() -> str:
    """Every setting with its default."""
    from millrace.settings import as_text, known_settings

    rows = [
        (
            f"`{one.name}`",
            f"`{as_text(one.default)}`" if as_text(one.default) else "",
            one.description,
        )
        for one in known_settings()
    ]
    return _text(
        [
            "# Settings",
            "",
            "Environment variables, read once when a command starts. A name that begins with "
            "`MILLRACE_` and is not listed here is refused, with the nearest one that is. Lists "
            "are parted by commas. `millrace doctor` prints what is in force, secrets as `***`.",
            "",
            *_table(("Name", "Default", "Meaning"), rows),
        ]
    )


def errors() -> str:
    """What goes wrong, what follows, and what the API answers."""
    from millrace import errors as module
    from millrace.api.problems import code_of, status_of
    from millrace.engine.defaults import RERUN_SECONDS, RETRY_SECONDS, TABLE

    classes = [
        kind
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, module.MillraceError)
    ]
    of_modules = [kind for kind in classes if issubclass(kind, module.ModuleError)]
    rows = []
    for kind in of_modules:
        if kind is module.ModuleError or kind.type not in TABLE or kind is module.ExpressionError:
            continue
        row = TABLE[kind.type]
        rows.append((f"`{kind.type}`", _first_line(kind), _consequences(row)))
    others = [
        (f"`{code_of(kind)}`", str(status_of(kind.__new__(kind))), _first_line(kind))
        for kind in classes
        if kind not in (*of_modules, module.MillraceError, module.SettingsInvalid)
    ]
    return _text(
        [
            "# Errors",
            "",
            "## Errors of modules",
            "",
            "`{{N.error.type}}` in an error route is one of these. The last column is what happens "
            "when no error route takes care. Unless it says otherwise, the failed bundle is kept "
            "as an incomplete execution, the next bundle goes on, and the execution ends with a "
            "warning that counts: after `max_errors` in a row the scenario is paused. Where "
            "nothing can be kept (a trigger fails, or the scenario sets `keep_incomplete: none`), "
            "the execution ends with the error.",
            "",
            *_table(("Type", "Means", "What follows"), rows),
            "Waits before an incomplete execution is tried again: " + _waits(RETRY_SECONDS) + ".",
            "",
            "Waits before a scenario whose trigger could not reach its service is started again: "
            + _waits(RERUN_SECONDS)
            + ".",
            "",
            "## Errors of the API",
            "",
            "Answers are problem details (RFC 9457); `code` is stable.",
            "",
            *_table(("Code", "Status", "Means"), others),
        ]
    )


def openapi() -> dict[str, Any]:
    """The description of the API."""
    from millrace.api.app import build_api
    from millrace.settings import Settings

    return build_api(None, Settings()).openapi()


def apps() -> Pages:
    """One page for each app that comes with Millrace, and the list of them."""
    from millrace.appkit.catalog import load_catalog
    from millrace.appkit.check import check_catalog

    catalog = load_catalog()
    levels = {report.app: report.level for report in check_catalog(catalog)}
    found: Pages = {}
    rows = []
    for app in catalog.apps():
        manifest, modules = app.manifest, app.modules()
        found[f"apps/{app.name}.md"] = HEAD + _text(_app(app, modules, levels[app.name]))
        rows.append(
            (
                f"[{manifest.label}]({app.name}.md)",
                str(len(modules)),
                levels[app.name],
                manifest.description,
            )
        )
    found["apps/README.md"] = HEAD + _text(
        [
            "# Apps",
            "",
            "Level *draft*: the app keeps the rules. *tested*: every module has a case that "
            "succeeds and one that is refused.",
            "",
            *_table(("App", "Modules", "Level", "What it is"), rows),
        ]
    )
    return found


def _app(app: Any, modules: list[Any], level: str) -> list[str]:
    manifest = app.manifest
    readme = (app.folder / "README.md").read_text(encoding="utf-8")
    lines = [
        f"# {manifest.label}",
        "",
        manifest.description,
        "",
        f"App `{app.name}`, level *{level}*, {len(modules)} modules.",
        "",
        re.sub(r"\A# .*\n+", "", readme).strip(),
        "",
    ]
    connections = sorted(path.stem for path in (app.folder / "connections").glob("*.yaml"))
    if connections:
        lines += ["## Connections", ""]
    for name in connections:
        connection = app.connection(name)
        lines += [f"### {connection.label}", "", f"Type `{app.name}:{name}`.", ""]
        lines += [connection.description, ""] if connection.description else []
        lines += _parameters(field for field in connection.fields if field.type != "hidden")
    lines += ["## Modules", ""]
    for spec in modules:
        lines += _module(spec)
    return lines


def _module(spec: Any) -> list[str]:
    manifest = spec.manifest
    facts = [f"`{spec.name}`", manifest.kind]
    if manifest.effect:
        facts.append(f"effect *{manifest.effect}*")
    for when in manifest.effect_when or ():
        of = ", ".join(f"{value} *{effect}*" for value, effect in when.values.items())
        facts.append(f"by `{when.parameter}`: {of}")
    for word in manifest.resources:
        optional = " (optional)" if word.endswith("?") else ""
        facts.append(f"needs a {word.rstrip('?').replace('_', ' ')}{optional}")
    if manifest.connections:
        facts.append("connection " + " or ".join(f"`{name}`" for name in manifest.connections))
    lines = [f"### {manifest.label}", "", manifest.description, "", " · ".join(facts), ""]
    lines += _parameters(manifest.parameters)
    if manifest.open:
        lines += ["Other parameters are passed on.", ""]
    if manifest.interface:
        given = [(f"`{field.name}`", field.type, field.label) for field in manifest.interface]
        lines += ["Gives:", "", *_table(("Field", "Type", "Meaning"), given)]
    if example := _example(spec):
        lines += ["Example, one of its tests:", "", "```yaml", *example, "```", ""]
    return lines


def _parameters(parameters: Iterable[Any]) -> list[str]:
    rows = []
    for one in parameters:
        notes = [one.help] if one.help else []
        if one.choices and len(one.choices) <= 12:
            notes.append("One of " + ", ".join(f"`{choice.value}`" for choice in one.choices) + ".")
        if one.fields:
            notes.append("Fields: " + ", ".join(f"`{field.name}`" for field in one.fields) + ".")
        if not one.mapped:
            notes.append("Taken as written, without expressions.")
        default = "**required**" if one.required and one.default is None else _default(one.default)
        rows.append((f"`{one.name}`", one.type, default, one.label, " ".join(notes)))
    return _table(("Name", "Type", "Default", "Label", "Notes"), rows) if rows else []


def _example(spec: Any) -> list[str]:
    """The first case with bundles, as it stands in its file."""
    path = spec.app.folder / "cases" / spec.path.name
    if not path.is_file():
        return []
    for case in re.split(r"^(?=- )", path.read_text(encoding="utf-8"), flags=re.M):
        lines = case.rstrip().splitlines()
        if re.search(r"^  bundles:", case, flags=re.M) and len(lines) <= EXAMPLE_LINES:
            return lines
    return []


# What the pages have in common.


def _keys(schema: dict[str, Any]) -> list[str]:
    required = set(schema.get("required", ()))
    rows = []
    for name, key in schema["properties"].items():
        default = key.get("default")
        note = "**required**" if name in required else _default(default)
        rows.append((f"`{name}`", _type(key), note, key.get("description", "")))
    return _table(("Key", "Type", "Default", "Meaning"), rows)


def _parts_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records that a scenario file is made of, in the order in which they are met."""
    definitions, top = schema["$defs"], schema["properties"]
    yield "An input", top["inputs"]["items"]
    yield "`schedule`", next(one for one in top["schedule"]["anyOf"] if "properties" in one)
    yield "`settings`", top["settings"]
    yield "A module", definitions["module"]
    yield "A route", definitions["module"]["properties"]["routes"]["items"]
    yield "A need", top["needs"]["items"]
    yield "A note", top["notes"]["items"]


def _type(key: dict[str, Any]) -> str:
    if "const" in key:
        return f"`{key['const']}`"
    if "enum" in key:
        return ", ".join(f"`{one}`" for one in key["enum"])
    if "anyOf" in key:
        return " or ".join(dict.fromkeys(_type(one) for one in key["anyOf"]))
    if "$ref" in key:
        return key["$ref"].rpartition("/")[2]
    words = {"array": "list", "object": "mapping", "string": "text", "boolean": "yes or no"}
    name: str = key.get("type", "anything")
    return words.get(name, name)


def _consequences(row: Any) -> str:
    parts = []
    if row.is_warning:
        parts.append("ends with a warning")
    if row.is_retried:
        parts.append("the kept bundle is tried again by itself")
    if row.is_rerun:
        parts.append("at a trigger: the scenario is started again")
    if row.switches_off:
        parts.append("the scenario is switched off")
    if row.stops:
        parts.append("nothing more is done in this execution")
    if not row.is_storable:
        parts.append("no bundle is kept")
    if row.is_always_kept:
        parts.append("kept whatever the settings say, until a person decides")
    if not row.is_counted:
        parts.append("not counted towards the pause")
    return "; ".join(parts)


def _waits(seconds: Iterable[int]) -> str:
    return ", ".join(f"{n // 60} min" if n < 3600 else f"{n // 3600} h" for n in seconds)


def _first_line(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]


def _by_group(specs: Mapping[str, Any]) -> dict[str, list[tuple[str, Any]]]:
    """Names and specifications by group, both in the order of the code."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for name, spec in specs.items():
        found.setdefault(spec.group, []).append((name, spec))
    return found


def _default(value: Any) -> str:
    return "" if value in (None, "") else f"`{json.dumps(value, ensure_ascii=False)}`"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A Markdown table; a column in which nothing stands is left out."""
    cells = [[re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in row] for row in rows]
    kept = [n for n in range(len(heads)) if n == 0 or any(row[n] for row in cells)]
    lines = [
        [heads[n] for n in kept],
        ["---"] * len(kept),
        *([row[n] for n in kept] for row in cells),
    ]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
