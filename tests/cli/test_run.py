from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

GOOD = """\
millrace: 1
name: Sum
inputs: [{name: plus, type: number, default: 1}]
outputs: {sum: "{{3.result}}"}
flow:
  - {id: 1, module: "json:parse", parameters: {json: '[{"n": 1}, {"n": 2}]'}}
  - {id: 2, module: "tools:compose", parameters: {value: "{{1.n + var.input.plus}}"}}
  - id: 3
    module: tools:numeric-aggregator
    parameters: {source: 1, function: sum, value: "{{2.value}}"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sum.yaml"
    path.write_text(GOOD)
    return path


def test_every_module_gets_a_line_and_the_end_a_summary(millrace: Any, file: Path) -> None:
    said = millrace("run", str(file), "--input", "plus=10")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert re.fullmatch(r"✓ 1 json:parse  2 bundles  [\d.]+ ms", lines[0])
    assert re.fullmatch(r"✓ 2 tools:compose  1 bundle  [\d.]+ ms", lines[1])
    assert re.fullmatch(r"✓ 3 tools:numeric-aggregator  1 bundle  [\d.]+ ms", lines[3])
    assert json.loads("".join(lines[4:-1])) == {"sum": 23}
    assert re.fullmatch(r"success: 4 operations, 0 B transferred, [\d.]+ m?s", lines[-1])


def test_the_result_as_json(millrace: Any, file: Path) -> None:
    said = millrace("run", str(file), "--json")
    result = json.loads(said.out)
    assert (result["status"], result["operations"]) == ("success", 4)
    assert result["outputs"] == {"sum": 5}
    assert [module["operations"] for module in result["modules"]] == [1, 2, 1]
    assert result["modules"][0]["bundles"] == 2


def test_inputs_come_from_a_file(millrace: Any, file: Path, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"plus": 100}')
    said = millrace("run", str(file), "--input", f"@{tmp_path / 'in.json'}", "--json")
    assert json.loads(said.out)["outputs"] == {"sum": 203}


def test_nothing_is_left_behind_without_a_data_folder(millrace: Any, file: Path) -> None:
    millrace("run", str(file))
    assert sorted(path.name for path in file.parent.iterdir()) == ["sum.yaml"]


def test_with_a_data_folder_the_execution_is_kept(millrace: Any, file: Path) -> None:
    folder = file.parent / "kept"
    first = json.loads(millrace("run", str(file), "--data", str(folder), "--json").out)
    second = json.loads(millrace("run", str(file), "--data", str(folder), "--json").out)
    assert first["execution_id"] < second["execution_id"]
    assert (folder / "millrace.db").exists()


def test_a_failure_is_told_and_ends_with_1(millrace: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "millrace: 1\nflow:\n"
        "  - {id: 1, module: 'json:parse', parameters: {json: '{}'}}\n"
        "  - {id: 2, module: 'json:parse', parameters: {json: 'no json'}}\n"
    )
    said = millrace("run", str(path))
    assert said.code == 1
    assert "✕ 2 json:parse" in said.out
    assert "BundleValidationError" in said.err
    assert "Traceback" not in said.err


def test_a_file_with_errors_is_not_run(millrace: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("millrace: 1\nflow:\n  - {id: 1, module: 'json:prase', parameters: {}}\n")
    said = millrace("run", str(path))
    assert said.code == 1
    assert "did you mean json:parse?" in said.err
    assert said.out == ""


def test_a_webhook_scenario_receives_its_inputs(millrace: Any, tmp_path: Path) -> None:
    path = tmp_path / "hook.yaml"
    path.write_text(
        "millrace: 1\noutputs: {said: '{{2.value}}'}\nflow:\n"
        "  - {id: 1, module: 'webhooks:receive', webhook: orders}\n"
        "  - {id: 2, module: 'tools:compose', parameters: {value: 'Hello {{1.name}}'}}\n"
    )
    for given in (("--input", "name=Ada"), ("--bundle", '{"name": "Ada"}')):
        said = millrace("run", str(path), *given, "--json")
        assert json.loads(said.out)["outputs"] == {"said": "Hello Ada"}
    refused = millrace("run", str(path))
    assert refused.code == 1
    assert "what a webhook receives" in refused.err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--input", "plus", "name=value"),
        ("--input", "@nowhere.json", "nowhere.json"),
        ("--connection", "shop={", "not JSON"),
        ("--bundle", "3", "a bundle is a JSON object"),
    ],
)
def test_a_value_that_cannot_be_read_is_explained(
    millrace: Any, file: Path, option: str, value: str, said: str
) -> None:
    answer = millrace("run", str(file), option, value)
    assert answer.code == 2
    assert said in answer.err


@pytest.fixture
def shop() -> Iterator[tuple[str, list[str]]]:
    """A service that notes how requests are signed."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            body = b'{"ok": true}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_connection_is_given_by_name_and_private_addresses_only_if_allowed(
    millrace: Any, tmp_path: Path, shop: tuple[str, list[str]]
) -> None:
    host, seen = shop
    path = tmp_path / "http.yaml"
    path.write_text(
        "millrace: 1\nflow:\n"
        f"  - {{id: 1, module: 'http:request', connection: shop,"
        f" parameters: {{url: 'http://{host}/'}}}}\n"
    )
    fields = json.dumps({"username": "ada", "password": "hunter2", "hosts": host})
    given = ("run", str(path), "--connection", f"shop={fields}")
    refused = millrace(*given)
    assert refused.code == 1
    assert seen == []
    allowed = millrace(*given, "--allow", "127.0.0.1/32", "--quiet")
    assert allowed.code == 0, allowed.err
    assert seen == ["Basic YWRhOmh1bnRlcjI="]
    assert "hunter2" not in allowed.out + allowed.err
    missing = millrace("run", str(path))
    assert "there is no connection 'shop'" in missing.err
