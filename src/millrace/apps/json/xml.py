"""Collections as XML."""

from __future__ import annotations

from millrace.appkit import Answer, Call, xml_dumps
from millrace.apps.json.reading import read_json

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def to_xml(call: Call) -> Answer:
    """JSON as elements; keys that cannot be names are mended."""
    value = read_json(call, call.parameters["json"])
    if isinstance(value, list):
        value = {"item": value}
    element = xml_dumps(value, root=call.parameters.get("root") or "root", mends_names=True)
    return {"xml": (_DECLARATION if call.parameters.get("declaration") else "") + element}
