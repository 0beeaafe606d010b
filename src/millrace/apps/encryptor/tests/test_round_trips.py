"""What is encrypted or signed with fresh keys comes out again."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pysequoia
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from millrace.appkit import Call
from millrace.appkit.memory import MemoryFiles
from millrace.apps.encryptor import aes, pgp, signing
from millrace.errors import DataError


def call(connection=None, files=None, **parameters):
    return Call(
        parameters=parameters,
        context=SimpleNamespace(files=files or MemoryFiles()),
        connection=connection,
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("mode", ["gcm", "cbc"])
@pytest.mark.parametrize("length", [16, 24, 32])
@pytest.mark.parametrize("text", ["", "x" * 16, "žluťoučký kůň " * 1000])
def test_aes_gives_back_what_it_was_given(mode, length, text):
    key = {"key": "k" * length, "key_encoding": "utf8", "mode": mode}
    sealed = aes.encrypt(call(data=text, **key))

    opened = aes.decrypt(call(data=sealed["data"], data_encoding="base64", result="text", **key))
    assert opened == {"data": text}


def test_the_same_text_is_never_encrypted_the_same_way_twice():
    sealed = {
        aes.encrypt(call(data="hello", key="k" * 32, key_encoding="utf8"))["data"]
        for _ in range(10)
    }

    assert len(sealed) == 10


def test_additional_data_is_protected():
    key = {"key": "k" * 32, "key_encoding": "utf8"}
    sealed = aes.encrypt(call(data="hello", additional_data="for Eva", **key))["data"]

    with pytest.raises(DataError):
        aes.decrypt(call(data=sealed, data_encoding="base64", additional_data="for Jan", **key))


@pytest.mark.parametrize("algorithm", ["auto", "rsa-sha1", "rsa-sha512", "rsa-pss-sha256", "ecdsa"])
def test_signatures_of_every_kind_are_recognised(algorithm):
    key = (
        ec.generate_private_key(ec.SECP256R1())
        if algorithm == "ecdsa"
        else rsa.generate_private_key(65537, 2048)
    )
    algorithm = "auto" if algorithm == "ecdsa" else algorithm
    private = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
    ).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    signature = signing.sign(
        call({"private_key": private, "password": "open sesame"}, data="hi", algorithm=algorithm)
    )["signature"]
    for data, is_valid in (("hi", True), ("ho", False)):
        asked = call(
            data=data, public_key=public.decode(), signature=signature, algorithm=algorithm
        )
        assert signing.verify(asked) == {"valid": is_valid}


def test_a_signed_pgp_message_travels():
    eva = pysequoia.Tsk.generate(user_id="Eva")
    jan = pysequoia.Tsk.generate(user_id="Jan")
    files = MemoryFiles()
    photo = files.keep(b"\0\1\2", name="photo.jpg")
    sealed = pgp.encrypt(
        call(
            {"private_key": str(eva)},
            files,
            data=photo,
            public_keys=f"{eva.extract_certificate()}\n{jan.extract_certificate()}",
            sign=True,
            result="file",
        )
    )["data"]

    opened = pgp.decrypt(
        call(
            {"private_key": str(jan)},
            files,
            data=sealed,
            public_keys=str(eva.extract_certificate()),
            result="file",
        )
    )

    assert sealed.name == "photo.jpg.asc"
    assert opened["data"].name == "photo.jpg"
    assert files.read(opened["data"]) == b"\0\1\2"
    assert opened["signers"] == [eva.extract_certificate().fingerprint]


def test_a_message_with_a_password():
    sealed = pgp.encrypt(call(data="hello", password="open sesame", result="text"))["data"]

    assert pgp.decrypt(call(data=sealed, password="open sesame", result="text"))["data"] == "hello"
    with pytest.raises(DataError) as caught:
        pgp.decrypt(call(data=sealed, password="wrong", result="text"))
    assert "backtrace" not in caught.value.message


def test_an_unsigned_message_is_refused_when_a_sender_is_expected():
    eva = pysequoia.Tsk.generate(user_id="Eva")
    public = str(eva.extract_certificate())
    sealed = pgp.encrypt(call(data="hello", public_keys=public, result="text"))["data"]

    with pytest.raises(DataError, match="not signed"):
        pgp.decrypt(call({"private_key": str(eva)}, data=sealed, public_keys=public, result="text"))
