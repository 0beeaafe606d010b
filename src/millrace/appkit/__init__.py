"""What an app is written against; with `errors`, the only package of ours that it may import."""

from __future__ import annotations

from millrace.appkit.call import Answer, Call
from millrace.appkit.refusals import refusal, said
from millrace.appkit.text import decode_text, json_loads
from millrace.appkit.values import (
    compile_condition,
    compile_conditions,
    field_of,
    to_json,
    to_text,
)
from millrace.appkit.xml import read_xml, xml_loads
from millrace.appkit.xml_writing import xml_dumps
from millrace.expressions.coerce import coerce
from millrace.expressions.patterns import compile_pattern
from millrace.expressions.scope import ERASE, IGNORE
from millrace.expressions.values import Binary

__all__ = [
    "ERASE",
    "IGNORE",
    "Answer",
    "Binary",
    "Call",
    "coerce",
    "compile_condition",
    "compile_conditions",
    "compile_pattern",
    "decode_text",
    "field_of",
    "json_loads",
    "read_xml",
    "refusal",
    "said",
    "to_json",
    "to_text",
    "xml_dumps",
    "xml_loads",
]
