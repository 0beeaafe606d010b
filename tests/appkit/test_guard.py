"""Which addresses may be called. Every refusal is by address, however it is spelt."""

import ipaddress

import pytest

from millrace.appkit.guard import Guard, GuardedDialer
from millrace.appkit.http import HttpClient
from millrace.errors import ConnectionFailure, InvalidConfigurationError

REFUSED = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200"),
    *("192.0.0.192", "168.63.129.16", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1"),
    *("64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001::1", "2001:db8::1"),
    *("fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "3fff::1"),
    *("100::1", "5f00::1"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]

TRICKY = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.0.0.1.:80/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://0/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::]/",
    "http://[fe80::1%25lo]/",
    "http://①②⑦.⓪.⓪.①/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "http://user:password@127.0.0.1/",
    "http://example.com@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://127.0.0.1%00.example.com/",
    "http://ex%61mple.com/",
    "http:///etc/passwd",
    "http://",
    "//127.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://127.0.0.1/",
    "unix:///var/run/docker.sock",
    "http://127.0.0.1:99999/",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address):
    assert not Guard(ports=None).is_allowed(ipaddress.ip_address(address), 443)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address):
    assert Guard().is_allowed(ipaddress.ip_address(address), 443)


@pytest.mark.parametrize("port", [22, 25, 6379, 5432])
def test_an_unusual_port_is_refused_unless_it_is_added(port):
    address = ipaddress.ip_address("8.8.8.8")

    assert not Guard().is_allowed(address, port)
    assert Guard(ports=[port]).is_allowed(address, port)


def test_the_allow_list_opens_a_network_at_one_port_only():
    guard = Guard(allow=[("10.1.0.0/16", 8000)])

    assert guard.is_allowed(ipaddress.ip_address("10.1.2.3"), 8000)
    assert not guard.is_allowed(ipaddress.ip_address("10.1.2.3"), 8001)
    assert not guard.is_allowed(ipaddress.ip_address("10.2.0.1"), 8000)


@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16", "fd00:ec2::254"])
def test_the_allow_list_never_opens_a_metadata_service(address):
    guard = Guard(allow=[("0.0.0.0/0", None), ("::/0", None)])

    assert not guard.is_allowed(ipaddress.ip_address(address), 80)


@pytest.mark.parametrize("url", TRICKY)
async def test_T075_a_tricky_address_is_refused_before_a_socket_is_opened(url):
    client = HttpClient()

    with pytest.raises((InvalidConfigurationError, ConnectionFailure)):
        await client.bind().request("GET", url, timeout_seconds=5)

    await client.aclose()


async def test_T075_every_refused_address_gets_the_same_text():
    texts = set()
    client = HttpClient()
    for host, port in (("127.0.0.1", 80), ("10.9.8.7", 80), ("169.254.169.254", 80)):
        with pytest.raises(InvalidConfigurationError) as refused:
            await client.bind().request("GET", f"http://{host}:{port}/")
        texts.add(refused.value.message.replace(host, "HOST"))
    await client.aclose()

    assert len(texts) == 1


async def test_one_private_address_among_public_ones_refuses_the_name():
    with pytest.raises(InvalidConfigurationError):
        Guard().choose("rebinding.example", 443, ["8.8.8.8", "127.0.0.1"])


async def test_T071_a_redirect_to_a_metadata_service_is_refused(service, http, answers):
    service.answers = [answers(302, headers=[("Location", "http://169.254.169.254/latest/")])]

    with pytest.raises(InvalidConfigurationError, match="may not be called"):
        await http.request("GET", service.url)


def test_the_dialer_gives_the_address_to_connect_to():
    dialer = GuardedDialer(Guard(allow=[("127.0.0.0/8", 2525)]))

    assert dialer.check("127.0.0.1", 2525) == "127.0.0.1"


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 25), ("10.0.0.5", 587), ("::1", 993)])
def test_T075_the_dialer_refuses_what_http_refuses(host, port):
    with pytest.raises(InvalidConfigurationError, match="may not be called"):
        GuardedDialer().check(host, port)


def test_the_dialer_says_when_there_is_no_such_name():
    with pytest.raises(ConnectionFailure, match="no server called"):
        GuardedDialer().check("no-such-host.invalid", 993)
