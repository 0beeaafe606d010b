"""What goes into the functions of this app and comes out: data, keys, and how they are written."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from millrace.appkit import Binary, Call, to_text
from millrace.errors import BundleValidationError, DataError, InvalidConfigurationError


def data_of(call: Call) -> bytes:
    """The bytes of ``data``: of a file, or those that a text spells in ``data_encoding``."""
    return bytes_of(
        call, call.parameters["data"], call.parameters.get("data_encoding") or "utf8", "data"
    )


def bytes_of(call: Call, value: Any, encoding: str, name: str) -> bytes:
    """The bytes of any value.

    Raises:
        BundleValidationError: the text is not written in that encoding; the message has `name`.
    """
    if isinstance(value, Binary):
        return call.files.read(value)
    return value if isinstance(value, bytes) else decoded(to_text(value), encoding, name)


def decoded(text: str, encoding: str, name: str) -> bytes:
    """The bytes that a text spells."""
    if encoding == "utf8":
        return text.encode("utf-8", "replace")
    compact = "".join(text.split())
    try:
        if encoding == "hex":
            return bytes.fromhex(compact)
        standard = compact.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise BundleValidationError(f"{name}: this is not {encoding}") from error


def encoded(content: bytes, encoding: str) -> str:
    """Bytes as text: Base64 or hexadecimal."""
    return content.hex() if encoding == "hex" else base64.b64encode(content).decode()


def given_back(call: Call, content: bytes, *, name: str) -> Any:
    """The result as the user wants it: a file, a text, Base64 or hexadecimal."""
    kind = call.parameters.get("result")
    if kind == "file":
        return call.files.keep(content, name=name)
    if kind != "text":
        return encoded(content, kind or "base64")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("what came out is not text in UTF-8; choose a file") from error


def file_name(call: Call, default: str) -> str:
    """The name of the file that ``data`` is."""
    data = call.parameters["data"]
    return data.name if isinstance(data, Binary) else default


def secret_key(call: Call) -> bytes:
    """The key that was mapped, or that of the connection.

    Raises:
        InvalidConfigurationError: there is none.
    """
    given = call.parameters.get("key")
    if given:
        return decoded(given, call.parameters.get("key_encoding") or "base64", "key")
    if call.connection:
        encoding = call.connection.get("encoding") or "base64"
        return decoded(call.connection["key"], encoding, "the key of the connection")
    raise InvalidConfigurationError("there is no key: choose a connection or map one")
