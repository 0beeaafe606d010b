"""The JSON Schema of the scenario file, made from the declarations that parse it."""

from __future__ import annotations

from typing import Any

from millrace.scenario.formats.native import SCENARIO

ADDRESS = "https://millrace.dev/schema/scenario-1.json"


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12; editors complete and underline with it.

    It describes one file by itself: what depends on several modules (references, merges) is said by
    ``scenario.check``.
    """
    definitions: dict[str, Any] = {}
    root = SCENARIO.schema(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ADDRESS,
        "title": "Millrace scenario",
        **root,
        "$defs": definitions,
    }
