"""The published schema says what the reader accepts."""

from __future__ import annotations

import json

import jsonschema
import pytest
from make_exports import ALL, KNOWN

from millrace.errors import ScenarioInvalid
from millrace.scenario.formats import read_make, read_native, write_native
from millrace.scenario.schema import json_schema

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", ALL)
def test_whatever_is_written_is_valid(name):
    text = write_native(read_make(ALL[name], KNOWN), as_json=True)

    VALIDATOR.validate(json.loads(text))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"millrace": 2, "flow": []},
        {"millrace": 1, "flow": {}},
        {"millrace": 1, "flow": [], "nam": "x"},
        {"millrace": 1, "flow": [{"id": 1}]},
        {"millrace": 1, "flow": [{"id": 1, "module": "a:b", "paramters": {}}]},
        {"millrace": 1, "flow": [{"id": 1, "module": "a:b@x"}]},
        {"millrace": 1, "flow": [], "settings": {"cycles": 0}},
        {"millrace": 1, "flow": [], "schedule": "hourly"},
        {"millrace": 1, "flow": [{"id": 1, "module": "a:b", "filter": [{"a": 1}]}]},
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(data):
    assert not VALIDATOR.is_valid(data)
    with pytest.raises(ScenarioInvalid):
        read_native(data)


def test_every_key_is_described():
    def walk(schema: object, path: str) -> list[str]:
        found: list[str] = []
        if isinstance(schema, dict):
            for name, value in schema.get("properties", {}).items():
                if not value.get("description"):
                    found.append(f"{path}.{name}")
            for key, value in schema.items():
                found += walk(value, f"{path}.{key}")
        elif isinstance(schema, list):
            found = [one for item in schema for one in walk(item, path)]
        return found

    assert walk(json_schema(), "") == []
