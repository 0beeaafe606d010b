"""The pages: commands print what they show, links lead somewhere, nothing is missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from millrace import errors
from millrace.appkit.catalog import load_catalog
from millrace.cli.main import cli
from millrace.expressions import FUNCTIONS, OPERATORS
from millrace.scenario.check import check
from millrace.scenario.formats.native import read_native
from millrace.settings import known_settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
BY_HAND = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES = [
    *(ROOT / name for name in BY_HAND),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
BLOCK = re.compile(r"^```console(?P<note>[^\n]*)\n(?P<body>.*?)^```", re.M | re.S)
FILE = re.compile(r"^```yaml\n# (?P<name>[\w-]+\.yaml)\n(?P<body>.*?)^```", re.M | re.S)
"""A file that the reader is to save: its name is in its first line."""

SPAN = re.compile(r"\b\d+(\.\d)? m?s\b")
"""How long something took: the one thing that differs from run to run."""

LINK = re.compile(r"\[[^\]^]+\]\((?P<to>[^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.M | re.S)


def steps(page):
    """The commands of a page with what they print; those of a block that says why are skipped."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if match["note"].strip():
            assert match["note"].strip().startswith("skip: "), "a block that is not run says why"
            continue
        line = text[: match.start()].count("\n") + 2
        for step in re.split(r"^\$ ", match["body"], flags=re.M)[1:]:
            command, _, shown = step.partition("\n")
            yield line, command, shown


def saved_by_hand(page, folder):
    """Do what the reader does between the commands."""
    for match in FILE.finditer(page.read_text(encoding="utf-8")):
        (folder / match["name"]).write_text(match["body"], encoding="utf-8")


def paths(pages):
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages]


@pytest.fixture
def folder(tmp_path):
    """Where a reader stands: the repository, in which nothing may be changed by reading."""
    for name in ("examples", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.parametrize("page", paths(page for page in PAGES if any(steps(page))))
def test_the_commands_of_a_page_print_what_it_shows(page, folder):
    # Settings of whoever runs the tests are not those of the reader.
    given = os.environ.items()  # noqa: TID251 - handed on, not read
    environment = {name: value for name, value in given if not name.startswith("MILLRACE_")}
    commands = str(Path(sys.executable).parent)
    environment["PATH"] = commands + os.pathsep + environment.get("PATH", "")
    saved_by_hand(page, folder)
    for line, command, shown in steps(page):
        ran = subprocess.run(
            command.replace(".venv/bin/", commands + "/"),
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        where = f"line {line}: {command}"
        assert ran.returncode == 0, f"{where}\n{ran.stdout}{ran.stderr}"
        assert SPAN.sub("… ms", ran.stdout.strip()) == SPAN.sub("… ms", shown.strip()), where


def test_the_first_page_shows_commands_that_are_run():
    assert len(list(steps(ROOT / "README.md"))) >= 2


def scenarios():
    """Every scenario that a page shows, whether it is run there or not."""
    for page in PAGES:
        for match in re.finditer(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
            if "millrace: 1" in match[1]:
                line = page.read_text("utf-8")[: match.start()].count("\n") + 2
                yield pytest.param(match[1], id=f"{page.relative_to(ROOT)}:{line}")


@pytest.mark.parametrize("text", list(scenarios()))
def test_a_scenario_that_a_page_shows_has_no_problems(text):
    catalog = load_catalog()
    names = [name for app in catalog.apps() for name in app.module_names]
    assert [str(problem) for problem in check(read_native(text), catalog.traits, names=names)] == []


def test_the_first_page_shows_its_example_as_it_is():
    example = (ROOT / "examples/scenarios/first.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{example}```" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", paths(PAGES))
def test_the_links_of_a_page_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    broken = []
    for match in LINK.finditer(CODE.sub("", text)):
        target, _, anchor = match["to"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        found = (page.parent / target).resolve() if target else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(match["to"])
    assert broken == []


def anchors(page):
    """The anchors that GitHub makes of a page's headings."""
    heads = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def test_the_reference_is_what_the_code_says():
    ran = subprocess.run(
        [sys.executable, ROOT / "tools/docs.py", "--check"], capture_output=True, text=True
    )
    assert (ran.stdout, ran.returncode) == ("", 0), ran.stderr


def test_every_page_can_be_reached_from_the_first():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for match in LINK.finditer(CODE.sub("", page.read_text(encoding="utf-8"))):
            found = (page.parent / match["to"].partition("#")[0]).resolve()
            if found.suffix == ".md" and found.is_file():
                waiting.append(found)
    missing = [str(page.relative_to(ROOT)) for page in PAGES if page.resolve() not in seen]
    assert missing == []


def page(name):
    return (REFERENCE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("spec", FUNCTIONS.values(), ids=lambda spec: spec.name)
def test_a_function_is_documented_with_an_example(spec):
    assert f"### {spec.name}\n\n`{spec.signature}`\n" in page("functions.md")
    assert spec.doc.endswith((".", "!"))
    assert spec.examples or not spec.pure


def test_every_operator_is_documented():
    assert [name for name in OPERATORS if f"| `{name}` |" not in page("operators.md")] == []


def test_every_setting_is_documented():
    told = page("settings.md")
    assert [one.name for one in known_settings() if f"| `{one.name}` |" not in told] == []


def test_every_command_is_documented():
    told = page("cli.md")
    context = click.Context(cli)
    missing = [name for name in cli.list_commands(context) if f"## millrace {name}\n" not in told]
    assert missing == []


def test_every_error_is_documented():
    from millrace.engine.defaults import TABLE

    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ModuleError)
    ]
    # A type that people filter on has a row of consequences, and a sentence.
    assert {kind.type for kind in kinds} == set(TABLE)
    told = page("errors.md")
    assert [name for name in TABLE if f"| `{name}` |" not in told] == []


@pytest.mark.parametrize("app", [app.name for app in load_catalog().apps()])
def test_every_module_of_an_app_is_documented(app):
    found = load_catalog().app(app)
    assert found is not None
    told = page(f"apps/{app}.md")
    assert [spec.name for spec in found.modules() if f"`{spec.name}`" not in told] == []
