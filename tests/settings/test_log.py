from __future__ import annotations

import io
import json
import logging
import sys

from millrace.log import JsonFormatter, TextFormatter, configure


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


def test_a_line_for_machines_is_one_json_object_with_its_values() -> None:
    data = json.loads(JsonFormatter().format(record("done\nforged", operations=5)))
    assert data["message"] == "done\nforged"
    assert data["operations"] == 5
    assert data["level"] == "info"


def test_an_exception_is_written_with_the_line() -> None:
    made = record("failed")
    try:
        raise ValueError("why")
    except ValueError:
        made.exc_info = sys.exc_info()
    assert "ValueError: why" in TextFormatter().format(made)
    assert "ValueError: why" in json.loads(JsonFormatter().format(made))["exception"]


def test_only_what_is_important_enough_is_written() -> None:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    try:
        configure(level="warning", format="text", stream=stream)
        logging.getLogger("millrace.x").info("unheard")
        logging.getLogger("millrace.x").warning("heard", extra={"rows": 3})
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert stream.getvalue().endswith("warning heard rows=3\n")
    assert "unheard" not in stream.getvalue()
