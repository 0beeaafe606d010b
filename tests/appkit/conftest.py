"""A service on loopback that answers exactly the bytes a test says."""

import asyncio
import inspect

import pytest

from millrace.appkit.guard import Guard
from millrace.appkit.http import HttpClient
from millrace.appkit.memory import MemoryFiles


class Received:
    """One request as it came."""

    def __init__(self, head: bytes, body: bytes):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ")
        self.header_list = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.headers = {name.lower(): value for name, value in self.header_list}
        self.body = body


def answer(status=200, body=b"", *, headers=(), length=None):
    """The bytes of an answer; `length` lies about the body when given."""
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Service:
    """Gives its `answers` in order, the last one for ever; None hangs, "reset" cuts the line."""

    def __init__(self):
        self.answers = []
        self.received = []
        self.port = 0
        self._writers = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader, writer):
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request = Received(head[:-4], b"")
                if "content-length" in request.headers:
                    request.body = await reader.readexactly(int(request.headers["content-length"]))
                self.received.append(request)
                given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if inspect.isfunction(given):
                    given = given(request)
                if given is None:
                    await asyncio.sleep(30)
                if given == "reset":
                    writer.transport.abort()
                    return
                writer.write(given)
                await writer.drain()
                if b"Connection: close" in given:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()


@pytest.fixture
async def service():
    service = Service()
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
async def other_service():
    service = Service()
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def answers():
    return answer


@pytest.fixture
def waited():
    return []


@pytest.fixture
async def client(waited):
    async def sleep(seconds):
        waited.append(seconds)

    client = HttpClient(guard=Guard(allow=[("127.0.0.1/32", None)]), sleep=sleep)
    yield client
    await client.aclose()


@pytest.fixture
def files():
    return MemoryFiles()


@pytest.fixture
def http(client, files):
    return client.bind(files=files)
