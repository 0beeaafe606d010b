"""T-079: a server that cannot prove who it is gets nothing."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from millrace.errors import ConnectionFailure, InvalidConfigurationError

TODAY = datetime.now(UTC)  # noqa: TID251 certificates are held against the real clock


class Authority:
    """Issues certificates for one test."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = (
            self._builder(self.name, self.key, days=30)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _builder(self, subject, key, *, days):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(TODAY - timedelta(days=60))
            .not_valid_after(TODAY + timedelta(days=days))
        )

    def issue(self, address="127.0.0.1", *, days=30):
        """Certificate and key as one PEM text."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        certificate = (
            self._builder(name, key, days=days)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )
        return (
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        ).decode()


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
async def serve(tmp_path):
    servers = []

    async def answer(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def start(pem, *, asks_for=None, most=None):
        file = tmp_path / f"{len(servers)}.pem"
        file.write_text(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if asks_for:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=asks_for)
        if most:
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.maximum_version = most
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        servers.append(server)
        return f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_a_server_with_a_certificate_of_a_trusted_authority_is_called(http, serve, authority):
    url = await serve(authority.issue())

    assert (await http.request("GET", url, ca=authority.pem)).text == "ok"


@pytest.mark.parametrize(
    ("issued", "reason"),
    [
        ({"days": -1}, "expired"),
        ({"address": "127.0.0.2"}, "IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_expired_or_for_another_host_is_refused(
    issued, reason, http, serve, authority
):
    url = await serve(authority.issue(**issued))

    with pytest.raises(ConnectionFailure, match=f"cannot be trusted.*{reason}") as refused:
        await http.request("GET", url, ca=authority.pem)

    assert refused.value.detail == {"sent": False}


async def test_an_unknown_authority_is_refused_unless_the_author_says_so(http, serve, authority):
    url = await serve(authority.issue())

    with pytest.raises(ConnectionFailure, match="cannot be trusted"):
        await http.request("GET", url)
    assert (await http.request("GET", url, verify=False)).text == "ok"
    with pytest.raises(ConnectionFailure, match="cannot be trusted"):
        await http.request("GET", url)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_an_encryption_of_yesterday_is_refused(http, serve, authority):
    url = await serve(authority.issue(), most=ssl.TLSVersion.TLSv1_1)

    with pytest.raises(ConnectionFailure):
        await http.request("GET", url, ca=authority.pem)


async def test_our_certificate_is_shown_to_who_asks_for_it(http, serve, authority):
    url = await serve(authority.issue(), asks_for=authority.pem)

    answer = await http.request("GET", url, ca=authority.pem, certificate=authority.issue())
    assert answer.text == "ok"
    with pytest.raises(ConnectionFailure):
        await http.request("GET", url, ca=authority.pem)


@pytest.mark.parametrize("pem", ["nonsense", "-----BEGIN CERTIFICATE-----\nAA==\n"])
async def test_a_certificate_that_cannot_be_read_is_a_wrong_setting(pem, http, serve, authority):
    url = await serve(authority.issue())

    with pytest.raises(InvalidConfigurationError, match="must be PEM"):
        await http.request("GET", url, ca=pem)
    with pytest.raises(InvalidConfigurationError, match="must be PEM"):
        await http.request("GET", url, certificate=pem)
