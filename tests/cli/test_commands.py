from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

BLUEPRINT = {
    "name": "From Make",
    "flow": [
        {"id": 1, "module": "json:ParseJSON", "version": 1, "mapper": {"json": "{}"}},
        {"id": 2, "module": "nowhere:doIt", "version": 1, "mapper": {"x": "{{1.a}}"}},
    ],
    "metadata": {"version": 1},
}


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(BLUEPRINT))
    return path


def test_check_names_every_problem_with_its_place(millrace: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "millrace: 1\nflow:\n"
        "  - {id: 1, module: 'json:prase', parameters: {}}\n"
        "  - {id: 2, module: 'tools:compose', parameters: {value: '{{9.x}}'}}\n"
    )
    said = millrace("check", str(path))
    assert said.code == 1
    assert "flow[0]" in said.out
    assert "flow[1].parameters.value" in said.out
    assert said.out.endswith("2 modules, 2 errors, 0 warnings\n")


def test_check_is_content_with_a_good_file(millrace: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "millrace: 1\nflow:\n  - {id: 1, module: 'json:parse@1', parameters: {json: '{}'}}\n"
    )
    said = millrace("check", "--upgrade", str(path))
    assert said.code == 0
    assert "Every module is at its newest version." in said.out


def test_import_reports_without_importing(millrace: Any, export: Path, tmp_path: Path) -> None:
    said = millrace("import", "--report", str(export))
    assert said.code == 0
    assert "modules that run: 1 of 2 (50 %)" in said.out
    assert not (tmp_path / "data").exists()


def test_import_converts_to_a_file_of_ours(millrace: Any, export: Path) -> None:
    said = millrace("import", "--convert", str(export))
    assert said.out.startswith("millrace: 1\nname: From Make\n")


def test_import_keeps_the_scenario(millrace: Any, export: Path) -> None:
    said = millrace("import", str(export))
    assert said.code == 0
    assert "Imported as 'From Make', id " in said.out


def test_doctor_shows_settings_without_secrets_and_changes_nothing(
    millrace: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = "vN2Dq0a8m1ZrXk5yT7uLw9sBcEfGhJiKoPqRsTuVwXY="
    monkeypatch.setenv("MILLRACE_MASTER_KEY", key)
    said = millrace("doctor")
    assert "MILLRACE_MASTER_KEY=***" in said.out
    assert key not in said.out
    assert "✓ master key: from the setting" in said.out
    assert not (tmp_path / "data").exists()


def test_doctor_warns_of_a_key_that_others_may_read(millrace: Any, tmp_path: Path) -> None:
    millrace("owner-link")
    key = tmp_path / "data" / "master.key"
    assert millrace("doctor").code == 0
    key.chmod(0o644)
    said = millrace("doctor")
    assert said.code == 1
    assert f"chmod 600 {key}" in said.out


def test_doctor_warns_of_an_open_address_without_tls(
    millrace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_HOST", "0.0.0.0")
    assert "has no TLS" in millrace("doctor").out
    monkeypatch.setenv("MILLRACE_PUBLIC_URL", "https://flows.example.com")
    assert millrace("doctor").code == 0


def test_an_owner_link_and_a_token_are_made(millrace: Any) -> None:
    link = millrace("owner-link")
    assert link.out.startswith("http://127.0.0.1:8080/sign-in?token=")
    token = millrace("token", "--scope", "*.read", "--days", "1")
    assert token.out.startswith("mlr_")
    refused = millrace("token", "--scope", "scenarios.fly")
    assert refused.code == 1
    assert "scenarios.fly" in refused.err


def test_an_app_is_made_and_held_against_the_rules(millrace: Any, tmp_path: Path) -> None:
    made = millrace("app", "new", "acme", "--in", str(tmp_path))
    assert made.code == 0, made.err
    said = millrace("app", "check", str(tmp_path / "acme"))
    assert "acme: " in said.out
    assert millrace("app", "check", "json").out == "json: tested\n"
    unknown = millrace("app", "check", "nowhere")
    assert unknown.code == 1
    assert "There is no app nowhere" in unknown.err


def test_a_module_is_tried(millrace: Any) -> None:
    said = millrace("app", "try", "json", "parse", "-p", 'json={"a": 1}')
    assert said.code in (0, 1)
    assert "Traceback" not in said.err
