"""Finding apps, and reading what they say."""

import subprocess
import sys
import time

import pytest

from millrace.appkit.catalog import Catalog, load_catalog
from millrace.appkit.document import parse_yaml
from millrace.appkit.manifest import json_schema
from millrace.appkit.new import create_app
from millrace.errors import ManifestInvalid


def app_with(folder, module, *, name="acme"):
    path = create_app(folder, name)
    (path / "modules" / "get_item.yaml").write_text(module)
    return Catalog.load(folder)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", {"a": "yes"}),
        ("a: on", {"a": "on"}),
        ("a: true", {"a": True}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ("404: x", {"404": "x"}),
        ("a: 010", {"a": "010"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: -1.5e3", {"a": -1500.0}),
        ("a: 12:30", {"a": "12:30"}),
        ("a: ~", {"a": None}),
        ('a: "1"', {"a": "1"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("", None),
    ],
)
def test_yaml_means_what_it_looks_like(text, value):
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml:3: the key a is given twice"),
        ("a: [1", "x.yaml:2:"),
        ("a: !!python/object:os.system {}", "x.yaml:1: the tag"),
        ("? [a]\n: 1", "x.yaml:1: a key must be a text"),
        ("a: *b", "x.yaml:1: there is no anchor b"),
        ("a: 1\n---\nb: 2", "one document per file"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
    ],
)
def test_yaml_that_is_wrong_says_where(text, message):
    with pytest.raises(ManifestInvalid) as wrong:
        parse_yaml(text, file="x.yaml")

    assert message in wrong.value.message


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            "label: A\nkind: action\nparamters: []",
            "modules/get_item.yaml:3: paramters: unknown key paramters; did you mean parameters?",
        ),
        (
            "label: A\nkind: action\nparameters:\n  - name: a\n    requird: true",
            "get_item.yaml:5: parameters[0].requird: unknown key requird; did you mean required?",
        ),
        ("label: A\nkind: actoin", "get_item.yaml:2: kind: Invalid enum value 'actoin'"),
        ("kind: action", "get_item.yaml:1: Object missing required field `label`"),
        (
            "label: A\nkind: action\nparameters:\n  - {name: a, help: One, two}",
            "get_item.yaml:4: parameters[0].two: unknown key two",
        ),
    ],
)
def test_a_manifest_that_is_wrong_says_where_and_what_was_meant(module, message, tmp_path):
    catalog = app_with(tmp_path, module)

    with pytest.raises(ManifestInvalid) as wrong:
        _ = catalog.module("acme:get-item").traits

    assert message in wrong.value.message


def test_a_module_is_found_by_name_and_version(tmp_path):
    catalog = app_with(tmp_path, "label: New\nkind: action\nversion: 2")
    (tmp_path / "acme" / "modules" / "get_item@1.yaml").write_text("label: Old\nkind: action")
    catalog = Catalog.load(tmp_path)

    assert catalog.module("acme:get-item").manifest.label == "New"
    assert catalog.module("acme:get-item", 2).manifest.label == "New"
    assert catalog.module("acme:get-item", 1).manifest.label == "Old"
    assert catalog.module("acme:get-item", 3) is None
    assert catalog.module("acme:no-such") is None
    assert catalog.module("nobody:get-item") is None
    assert catalog.module("acme") is None
    assert [spec.name for spec in catalog.app("acme").modules()] == ["acme:get-item"]


def test_an_app_outside_the_package_runs_its_functions(tmp_path):
    app_with(tmp_path, "label: A\nkind: action\ncall: functions.double\nblocking: true")
    (tmp_path / "acme" / "functions.py").write_text(
        "from .numbers_ import twice\n\n\ndef double(call):\n    return {'n': twice(call)}\n"
    )
    (tmp_path / "acme" / "numbers_.py").write_text("def twice(n):\n    return n * 2\n")
    spec = Catalog.load(tmp_path / "acme").module("acme:get-item")

    assert spec.function(4) == {"n": 8}
    assert spec.is_blocking


@pytest.mark.parametrize(
    "call",
    ["functions.missing", "nothing.double", "double", "os.path.join", "../x.y", "functions."],
)
def test_a_function_that_is_not_there_is_named(call, tmp_path):
    app_with(tmp_path, f"label: A\nkind: action\ncall: {call}")
    (tmp_path / "acme" / "functions.py").write_text("")

    with pytest.raises(ManifestInvalid, match="acme: call"):
        _ = Catalog.load(tmp_path).module("acme:get-item").function


def test_two_apps_of_one_name_are_refused(tmp_path):
    create_app(tmp_path, "http")

    with pytest.raises(ManifestInvalid, match="two apps are called http"):
        Catalog.load(tmp_path)


def test_a_folder_without_an_app_is_refused(tmp_path):
    with pytest.raises(ManifestInvalid, match="no app in this folder"):
        Catalog.load(tmp_path)


def test_the_effect_depends_on_what_the_module_is_told():
    spec = load_catalog().module("http:request")

    assert spec.effect_of({"method": "GET"}) == "read"
    assert spec.effect_of({"method": "POST"}) == "blind"
    assert spec.effect_of({"method": "POST", "idempotency_key": True}) == "keyed"
    assert spec.effect_of({"method": "{{1.method}}"}) == "blind"


def test_every_module_of_make_is_one_of_ours():
    known = load_catalog().make_modules()

    assert known["http:ActionSendData"]["module"] == "http:request"
    assert known["gateway:CustomWebHook"]["resource"] == {"hook": "webhook"}


def test_the_schema_describes_every_file_of_an_app():
    schema = json_schema()

    assert set(schema["properties"]) == {"app", "module", "connection", "rpc", "cases"}
    assert "effect_when" in schema["$defs"]["ModuleManifest"]["properties"]


def test_all_manifests_are_read_within_half_a_second():
    start = time.perf_counter()
    catalog = load_catalog()
    for spec in catalog.modules():
        _ = spec.traits

    assert time.perf_counter() - start < 0.5


def test_a_catalog_imports_neither_apps_nor_heavy_libraries():
    code = (
        "import sys; from millrace.appkit.catalog import load_catalog\n"
        "[spec.traits for spec in load_catalog().modules()]\n"
        "import millrace.appkit.http, millrace.appkit.auth, millrace.appkit.run\n"
        "heavy = {'httpx2', 'httpcore2', 'lxml', 'PIL', 'feedparser', 'sqlalchemy', 'anyio'}\n"
        "print(sorted(heavy & set(sys.modules)),\n"
        "      [m for m in sys.modules if m.startswith('millrace.apps.')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert ran.stdout.strip() == "[] []"
