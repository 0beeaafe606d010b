"""OpenPGP, by Sequoia.

Sequoia answers everything that goes wrong with a RuntimeError whose text holds a stack trace. None
of it is passed on: each function says in its own words what cannot be done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from millrace.appkit import Call
from millrace.apps.encryptor.material import bytes_of, data_of, file_name, given_back
from millrace.errors import BundleValidationError, DataError, InvalidConfigurationError


def encrypt(call: Call) -> dict[str, Any]:
    """A message that the receivers can open, signed when wanted."""
    import pysequoia

    given = call.parameters
    receivers = _certificates(given.get("public_keys"), "public_keys")
    password = given.get("password")
    if not receivers and not password:
        raise BundleValidationError("public_keys or a password is needed to encrypt")
    signer = _signer(call) if given.get("sign") else None
    with _saying(
        DataError, "the data cannot be encrypted: a key has expired, or is only for signing"
    ):
        message = pysequoia.encrypt(
            data_of(call), receivers, signer=signer, passwords=[password] if password else []
        )
    return {"data": given_back(call, message, name=f"{file_name(call, 'data')}.asc")}


def decrypt(call: Call) -> dict[str, Any]:
    """What a message holds, and who signed it."""
    import pysequoia

    given = call.parameters
    senders = _certificates(given.get("public_keys"), "public_keys")
    options: dict[str, Any] = {}
    if given.get("password"):
        options["passwords"] = [given["password"]]
    if call.connection or not options:
        with _saying(InvalidConfigurationError, _KEY_UNUSABLE):
            options["decryptor"] = _own_key(call).decryptor(_password(call))
    if senders:
        options["store"] = lambda ids: senders
    refusal = "the message cannot be decrypted: it is damaged, or for another key or password"
    if senders:
        refusal += ", or not signed by a key that was given"
    with _saying(DataError, refusal):
        opened = pysequoia.decrypt(data_of(call), **options)
    if senders and not opened.valid_sigs:
        raise DataError("the message is not signed by a key that was given")
    return {
        "data": given_back(call, opened.bytes or b"", name=_unwrapped(file_name(call, "data"))),
        "signers": _signers(opened),
    }


def sign(call: Call) -> dict[str, Any]:
    """A signature on its own, or the data with it."""
    import pysequoia

    mode = {
        "detached": pysequoia.SignatureMode.DETACHED,
        "inline": pysequoia.SignatureMode.INLINE,
        "clear": pysequoia.SignatureMode.CLEAR,
    }[call.parameters.get("mode") or "detached"]
    signer = _signer(call)
    with _saying(DataError, "the data cannot be signed with this key"):
        signed = pysequoia.sign(signer, data_of(call), mode=mode)
    return {"data": given_back(call, signed, name=f"{file_name(call, 'data')}.asc")}


def verify(call: Call) -> dict[str, Any]:
    """Whether data is signed by one of the keys, and what was signed."""
    import pysequoia

    given = call.parameters
    certificates = _certificates(given["public_keys"], "public_keys")
    content = data_of(call)
    options: dict[str, Any] = {}
    if given.get("signature"):
        written = bytes_of(call, given["signature"], "utf8", "signature")
        with _saying(BundleValidationError, "signature: this is not a PGP signature"):
            options["signature"] = pysequoia.Sig.from_bytes(written)
    try:
        found = pysequoia.verify(content, store=lambda ids: certificates, **options)
    except RuntimeError:
        return {"valid": False, "signers": [], "data": None}
    signed = content if options else found.bytes or b""
    return {
        "valid": bool(found.valid_sigs),
        "signers": _signers(found),
        "data": given_back(call, signed, name=_unwrapped(file_name(call, "data"))),
    }


_KEY_UNUSABLE = "the PGP key of the connection cannot be used: is its password right?"


def _certificates(written: str | None, name: str) -> Sequence[Any]:
    import pysequoia

    if not written or not written.strip():
        return []
    with _saying(BundleValidationError, f"{name}: this is not a PGP public key"):
        return pysequoia.Cert.split_bytes(written.strip().encode())


def _own_key(call: Call) -> Any:
    import pysequoia

    if not call.connection:
        raise InvalidConfigurationError("there is no private key: choose a connection")
    with _saying(InvalidConfigurationError, "the connection does not hold a PGP private key"):
        return pysequoia.Tsk.from_bytes(call.connection["private_key"].strip().encode())


def _signer(call: Call) -> Any:
    with _saying(InvalidConfigurationError, _KEY_UNUSABLE):
        return _own_key(call).signer(_password(call))


def _password(call: Call) -> str | None:
    return (call.connection or {}).get("password") or None


def _signers(result: Any) -> list[str]:
    return [signature.certificate for signature in result.valid_sigs]


def _unwrapped(name: str) -> str:
    for ending in (".asc", ".pgp", ".gpg"):
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


@contextmanager
def _saying(kind: type[Exception], message: str) -> Iterator[None]:
    """Turn Sequoia's error into one of ours; its own text goes nowhere."""
    try:
        yield
    except RuntimeError:
        raise kind(message) from None
