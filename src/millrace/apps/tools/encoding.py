"""Bytes of one code page into another."""

from __future__ import annotations

from millrace.appkit import Answer, Binary, Call, to_text
from millrace.errors import DataError


def convert_encoding(call: Call) -> Answer:
    """Read by the one code page, write by the other."""
    data = call.parameters["data"]
    errors = "replace" if call.parameters.get("unknown_characters") == "replace" else "strict"
    name, media_type = "text.txt", "text/plain"
    if isinstance(data, Binary):
        name, media_type = data.name, data.media_type.partition(";")[0].strip()
        text = _decode(call.files.read(data), call.parameters["input_encoding"], errors)
    elif isinstance(data, bytes):
        text = _decode(data, call.parameters["input_encoding"], errors)
    else:
        text = to_text(data)
    if call.parameters["result"] == "text":
        return {"data": text}
    encoding = call.parameters["output_encoding"]
    content = _encode(text, encoding, errors)
    if media_type.startswith("text/"):
        media_type = f"{media_type}; charset={encoding}"
    return {"data": call.files.keep(content, name=name, media_type=media_type)}


def _decode(content: bytes, encoding: str, errors: str) -> str:
    try:
        return content.decode(encoding, errors).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start + 1} is not {encoding}; choose another input code page"
        ) from error


def _encode(text: str, encoding: str, errors: str) -> bytes:
    try:
        return text.encode(encoding, errors)
    except UnicodeEncodeError as error:
        raise DataError(
            f"{encoding} has no sign for character {error.start + 1}; choose another output code "
            "page, or replace unknown characters"
        ) from error
