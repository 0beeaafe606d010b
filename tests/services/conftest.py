"""Real servers, started by the tests on loopback, and calls to talk to them."""

import asyncio
import datetime
import imaplib
import logging
import ssl
import subprocess
import sys
import warnings
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from millrace import practice as service
from millrace.appkit.call import Call
from millrace.appkit.catalog import Catalog, load_catalog
from millrace.appkit.memory import MemoryFiles

NAME = "mail.example.test"
"""What the certificates are for; the dialer below says where it is."""


class LoopbackDialer:
    """Knows where `NAME` is, and lets everything pass."""

    def check(self, host, port):
        return "127.0.0.1"


@dataclass
class Run:
    """Runs modules; one per test, so that files given out can be read again."""

    files: MemoryFiles
    catalog: Catalog

    async def __call__(self, name, connection=None, **given):
        """Run one operation of a module; see `_call` for what is not a parameter of it."""
        spec = self.catalog.module(name)
        assert spec is not None
        given = {
            parameter.name: parameter.default
            for parameter in spec.manifest.parameters
            if parameter.default is not None
        } | given
        return await self._answer(spec.function, self._call(connection, **given), spec.is_blocking)

    async def function(self, app, name, connection):
        """Run a function that is no module, such as the test of a connection."""
        found = self.catalog.app(app)
        assert found is not None
        return await self._answer(found.function(name), self._call(connection), False)

    def _call(
        self,
        connection,
        *,
        state=None,
        key="k",
        dialer=None,
        http=None,
        timeout_seconds=5,
        **parameters,
    ):
        context = SimpleNamespace(
            files=self.files,
            dialer=dialer or LoopbackDialer(),
            zone=UTC,
            log=logging.getLogger("test"),
        )
        return Call(
            parameters=parameters,
            context=context,
            now=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            connection=connection,
            http=http,
            key=key,
            state=state,
            timeout=datetime.timedelta(seconds=timeout_seconds),
        )

    async def _answer(self, function, call, is_blocking):
        if is_blocking:
            return await asyncio.to_thread(function, call)
        answer = function(call)
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
def run():
    return Run(MemoryFiles(), load_catalog())


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """An authority of our own and two certificates by it: for `NAME` and for another name."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder = tmp_path_factory.mktemp("tls")
    today = datetime.datetime.now(UTC)  # noqa: TID251 - certificates are checked against today

    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject, public, *, extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("Test authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=2))
        )
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, is_critical)
        return builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root = ec.generate_private_key(ec.SECP256R1())
    ca = certificate(
        "Test authority",
        root.public_key(),
        extensions=[(x509.BasicConstraints(ca=True, path_length=None), True)],
    )
    files = {}
    for host in (NAME, "other.example.test"):
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([x509.DNSName(host)])
        (folder / f"{host}.pem").write_bytes(
            certificate(host, key.public_key(), extensions=[(alternative, False)])
        )
        (folder / f"{host}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        files[host] = (folder / f"{host}.pem", folder / f"{host}.key")
    return SimpleNamespace(ca=ca.decode(), files=files)


class Inbox:
    """The handler of a real SMTP server: keeps what it takes and refuses some."""

    def __init__(self):
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later"):
            return "451 4.3.0 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.envelopes.append(envelope)
        return "250 OK, queued as 7"


@pytest.fixture
async def smtp(authority):
    """Starts real SMTP servers: ``await smtp("starttls", …)`` gives connection fields and inbox."""
    servers = []

    async def start(security="none", *, host=NAME, needs_password=True, **options):
        inbox = Inbox()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*authority.files[host])

        def authenticate(server, session, envelope, mechanism, data):
            is_right = (data.login, data.password) == (b"ada", "heslo č. 1".encode())
            return AuthResult(success=is_right, handled=is_right)

        def protocol():
            with warnings.catch_warnings():
                # It warns of a password without encryption, which is what some tests want.
                warnings.simplefilter("ignore", UserWarning)
                return SMTP(
                    inbox,
                    hostname="test",
                    authenticator=authenticate,
                    auth_required=needs_password,
                    auth_require_tls=security == "starttls",
                    require_starttls=security == "starttls",
                    tls_context=context if security == "starttls" else None,
                    enable_SMTPUTF8=True,
                    **options,
                )

        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            protocol, "127.0.0.1", 0, ssl=context if security == "tls" else None
        )
        servers.append(server)
        fields = {
            "host": NAME,
            "port": server.sockets[0].getsockname()[1],
            "security": security,
            "user": "ada" if needs_password else "",
            "password": "heslo č. 1" if needs_password else "",
            "from": "ada@example.com",
            "ca": authority.ca,
        }
        return fields, inbox

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture(scope="session")
def pymap_server(authority):
    """pymap, an IMAP server by others, in a process of its own."""
    certificate, key = authority.files[NAME]
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("pymap_server.py"), certificate, key],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    yield {
        "host": NAME,
        "port": port,
        "security": "starttls",
        "user": "ada",
        "password": "secret",
        "ca": authority.ca,
    }
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
async def pymap(pymap_server):
    """Its account, with empty folders."""

    def empty(client):
        for line in client.list()[1]:
            folder = line.decode().split(' "/" ', 1)[1]
            if folder == "INBOX":
                client.select(folder)
                client.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
                client.close()
            else:
                client.delete(folder)
        for folder in ("Sent", "Trash"):
            client.create(folder)

    await Mailbox(pymap_server).look(empty)
    return pymap_server


@dataclass
class Mailbox:
    """An account at some IMAP server, and how to look into it past the app."""

    connection: dict

    async def look(self, do):
        """Run ``do(client)`` with a client of the standard library."""

        def session():
            with imaplib.IMAP4("127.0.0.1", self.connection["port"], timeout=5) as client:
                if self.connection["security"] == "starttls":
                    client.host = NAME
                    client.starttls(ssl.create_default_context(cadata=self.connection["ca"]))
                client.login(self.connection["user"], self.connection["password"])
                return do(client)

        return await asyncio.to_thread(session)

    async def put(self, *messages, folder="INBOX", when=None):
        """Put messages into a folder; gives their UIDs."""

        def append(client):
            uids = []
            for message in messages:
                raw = message if isinstance(message, bytes) else message.as_bytes()
                told = client.append(folder, "", when, raw)[1][0]
                uids.append(int(told.split(b"]")[0].split()[-1]))
            return uids

        return await self.look(append)

    async def unread(self, folder="INBOX"):
        """UIDs of the unread messages."""
        return await self.search("UNSEEN", folder=folder)

    async def search(self, *criteria, folder="INBOX"):
        """UIDs of what is found."""

        def find(client):
            client.select(folder, readonly=True)
            return [int(uid) for uid in client.uid("SEARCH", *criteria)[1][0].split()]

        return await self.look(find)


@pytest.fixture
async def practice():
    async with await service.start() as running:
        yield running


@pytest.fixture(params=["practice", "pymap"])
async def mailbox(request, practice, pymap):
    """The same account at two servers: ours and one by others."""
    if request.param == "pymap":
        return Mailbox(pymap)
    fields = {"host": NAME, "port": practice.imap_port, "security": "none"}
    return Mailbox({**fields, "user": practice.user, "password": practice.password})
