"""Signatures by RSA, ECDSA and Ed25519."""

from __future__ import annotations

from typing import Any

from millrace.appkit import Call
from millrace.apps.encryptor.material import data_of, decoded, encoded
from millrace.errors import BundleValidationError, InvalidConfigurationError

_FAMILIES = {
    "rsa-sha256": "rsa",
    "rsa-sha512": "rsa",
    "rsa-sha1": "rsa",
    "rsa-pss-sha256": "rsa",
    "ecdsa-sha256": "ecdsa",
    "ed25519": "ed25519",
}
_USUAL = {"rsa": "rsa-sha256", "ecdsa": "ecdsa-sha256", "ed25519": "ed25519"}


def sign(call: Call) -> dict[str, Any]:
    """The signature of the data."""
    key = _private_key(call)
    options = _options(call, key)
    signature = key.sign(data_of(call), *options)
    return {"signature": encoded(signature, call.parameters.get("result") or "base64")}


def verify(call: Call) -> dict[str, Any]:
    """Whether the signature is right."""
    from cryptography.exceptions import InvalidSignature

    given = call.parameters
    key = _public_key(given["public_key"])
    options = _options(call, key)
    signature = decoded(
        given["signature"], given.get("signature_encoding") or "base64", "signature"
    )
    try:
        key.verify(signature, data_of(call), *options)
    except InvalidSignature:
        return {"valid": False}
    return {"valid": True}


def _private_key(call: Call) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        load_pem_private_key,
        load_ssh_private_key,
    )

    source = call.parameters if call.parameters.get("private_key") else call.connection or {}
    written = (source.get("private_key") or "").strip().encode()
    password = (source.get("password") or "").encode() or None
    if not written:
        raise InvalidConfigurationError("there is no private key: choose a connection or map one")
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in written else load_pem_private_key
    try:
        return load(written, password)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidConfigurationError(
            "the private key cannot be read: it must be PEM, with the right password if it has one"
        ) from error


def _public_key(written: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        load_pem_public_key,
        load_ssh_public_key,
    )
    from cryptography.x509 import load_pem_x509_certificate

    content = written.strip().encode()
    try:
        if content.startswith((b"ssh-", b"ecdsa-")):
            return load_ssh_public_key(content)
        if b"BEGIN CERTIFICATE" in content:
            return load_pem_x509_certificate(content).public_key()
        return load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleValidationError(
            "public_key: this is not a public key or certificate in PEM"
        ) from error


def _options(call: Call, key: Any) -> tuple[Any, ...]:
    """What `key.sign` and `key.verify` want to know besides the data."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    family = _family(key)
    algorithm = call.parameters.get("algorithm") or "auto"
    if algorithm == "auto":
        algorithm = _USUAL.get(family, "")
    if _FAMILIES.get(algorithm) != family:
        raise BundleValidationError(f"algorithm: the key is of another kind ({family})")
    if family == "ed25519":
        return ()
    if family == "ecdsa":
        return (ec.ECDSA(hashes.SHA256()),)
    chosen = {"rsa-sha1": hashes.SHA1, "rsa-sha512": hashes.SHA512}.get(algorithm, hashes.SHA256)()
    if algorithm == "rsa-pss-sha256":
        # The salt as long as the hash, as OpenSSL, JOSE and TLS have it.
        return (padding.PSS(padding.MGF1(chosen), padding.PSS.DIGEST_LENGTH), chosen)
    return (padding.PKCS1v15(), chosen)


def _family(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    families = {
        "rsa": (rsa.RSAPrivateKey, rsa.RSAPublicKey),
        "ecdsa": (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey),
        "ed25519": (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey),
    }
    return next((name for name, kinds in families.items() if isinstance(key, kinds)), "unknown")
