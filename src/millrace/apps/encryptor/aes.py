"""AES with GCM or CBC."""

from __future__ import annotations

import os
from typing import Any

from millrace.appkit import Call
from millrace.apps.encryptor.material import (
    data_of,
    decoded,
    encoded,
    file_name,
    given_back,
    secret_key,
)
from millrace.errors import BundleValidationError, DataError

BLOCK_BYTES = 16
TAG_BYTES = 16
USUAL_IV_BYTES = {"gcm": 12, "cbc": BLOCK_BYTES}
"""Source: NIST SP 800-38D 5.2.1.1 for GCM, SP 800-38A 6.2 for CBC."""


def encrypt(call: Call) -> dict[str, Any]:
    """The data encrypted, with the initialisation vector and the tag that belong to it."""
    given = call.parameters
    mode = given.get("mode") or "gcm"
    key, content = _key(call), data_of(call)
    iv = _text(call, "iv") or os.urandom(USUAL_IV_BYTES[mode])
    _check_iv(iv, mode, is_packed=given.get("packed", True))
    body, tag = _seal(mode, key, iv, content, _additional(call))
    result = iv + body + tag if given.get("packed", True) else body
    encoding = "hex" if given.get("iv_encoding") == "hex" else "base64"
    return {
        "data": given_back(call, result, name=f"{file_name(call, 'data')}.aes"),
        "iv": encoded(iv, encoding),
        "authTag": encoded(tag, encoding) if tag else None,
    }


def decrypt(call: Call) -> dict[str, Any]:
    """The data as it was before."""
    given = call.parameters
    mode = given.get("mode") or "gcm"
    key, content = _key(call), data_of(call)
    if given.get("packed", True):
        iv_bytes, tag_bytes = USUAL_IV_BYTES[mode], TAG_BYTES if mode == "gcm" else 0
        if len(content) < iv_bytes + tag_bytes:
            raise DataError("the data is too short; was it packed when it was encrypted?")
        iv, body = content[:iv_bytes], content[iv_bytes : len(content) - tag_bytes]
        tag = content[len(content) - tag_bytes :]
    else:
        iv, body, tag = _text(call, "iv"), content, _text(call, "auth_tag")
        if not iv or (mode == "gcm" and len(tag) != TAG_BYTES):
            raise BundleValidationError(
                "data that is not packed needs its iv, and for GCM an auth_tag of 16 bytes"
            )
    _check_iv(iv, mode, is_packed=False)
    plain = _open(mode, key, iv, body, tag, _additional(call))
    return {"data": given_back(call, plain, name=file_name(call, "data").removesuffix(".aes"))}


def _seal(
    mode: str, key: bytes, iv: bytes, content: bytes, additional: bytes
) -> tuple[bytes, bytes]:
    if mode == "gcm":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        sealed = AESGCM(key).encrypt(iv, content, additional)
        return sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
    from cryptography.hazmat.primitives.padding import PKCS7

    padder = PKCS7(BLOCK_BYTES * 8).padder()
    encryptor = _cbc(key, iv).encryptor()
    padded = padder.update(content) + padder.finalize()
    return encryptor.update(padded) + encryptor.finalize(), b""


def _open(mode: str, key: bytes, iv: bytes, body: bytes, tag: bytes, additional: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        if mode == "gcm":
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            return AESGCM(key).decrypt(iv, body + tag, additional)
        from cryptography.hazmat.primitives.padding import PKCS7

        decryptor = _cbc(key, iv).decryptor()
        padded = decryptor.update(body) + decryptor.finalize()
        unpadder = PKCS7(BLOCK_BYTES * 8).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except (InvalidTag, ValueError) as error:
        # One message for all: which of them it was would help whoever tries keys and changes.
        raise DataError(
            "the data cannot be decrypted: the key is another one, or the data was changed"
        ) from error


def _cbc(key: bytes, iv: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return Cipher(algorithms.AES(key), modes.CBC(iv))


def _key(call: Call) -> bytes:
    key = secret_key(call)
    if len(key) not in (16, 24, 32):
        raise BundleValidationError(
            f"the key has {len(key)} bytes; AES takes 16, 24 or 32 (is the encoding right?)"
        )
    return key


def _check_iv(iv: bytes, mode: str, *, is_packed: bool) -> None:
    usual = USUAL_IV_BYTES[mode]
    is_fitting = len(iv) == usual or (mode == "gcm" and not is_packed and 8 <= len(iv) <= 128)
    if not is_fitting:
        raise BundleValidationError(
            f"the initialisation vector has {len(iv)} bytes; {mode.upper()} takes {usual}"
        )


def _text(call: Call, name: str) -> bytes:
    encoding = call.parameters.get("iv_encoding") or "base64"
    return decoded(call.parameters.get(name) or "", encoding, name)


def _additional(call: Call) -> bytes:
    return (call.parameters.get("additional_data") or "").encode("utf-8", "replace")
