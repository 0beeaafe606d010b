from __future__ import annotations

import json
import logging

from millrace.log import CONTEXT, JsonFormatter, TextFormatter


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "millrace.work", "levelname": "INFO", "msg": message, "created": 0.5}
    )
    made.__dict__.update(extra)
    return made


def test_a_line_for_people_has_time_level_text_and_values() -> None:
    line = TextFormatter().format(record("execution finished", scenario_id="s1"))
    assert line == "1970-01-01T00:00:00.500Z info    execution finished scenario_id=s1"


def test_a_value_cannot_start_a_line_of_its_own() -> None:
    assert "\n" not in TextFormatter().format(record("hook", name="x\nERROR forged"))


def test_a_line_for_machines_is_one_json_object_with_the_ids_of_the_context() -> None:
    token = CONTEXT.set({"execution_id": "e1"})
    try:
        data = json.loads(JsonFormatter().format(record("done", operations=5)))
    finally:
        CONTEXT.reset(token)
    assert data["execution_id"] == "e1"
    assert data["operations"] == 5
    assert data["level"] == "info"
