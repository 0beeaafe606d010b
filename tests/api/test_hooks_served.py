"""Webhooks of the real server: another process, real sockets."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from millrace.runtime.wire import build

ECHO = """\
millrace: 1
schedule: instant
flow:
  - {id: 1, module: "webhooks:receive", webhook: echo}
  - {id: 2, module: "webhooks:respond", parameters: {status: 201, json: {got: "{{1.n}}"}}}
"""


async def prepared(data: Path) -> tuple[str, str]:
    """The paths of a webhook that answers and of one that nothing listens to."""
    runtime = await build(data)
    owner = await runtime.users.ensure_owner()
    echo, _ = await runtime.webhooks.create(by=owner, name="echo")
    idle, _ = await runtime.webhooks.create(by=owner, name="idle")
    saved = await runtime.scenarios.create(by=owner, text=ECHO)
    await runtime.scenarios.activate(saved.scenario.id, by=owner)
    await runtime.close()
    return httpx2.URL(echo).path, httpx2.URL(idle).path


@asynccontextmanager
async def served(data: Path):
    """The address of a server on this data."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "millrace", "serve", "--data", str(data), "--port", "0",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            said = b""
            while not (found := re.search(rb"http://127\.0\.0\.1:\d+", said)):
                line = await process.stdout.readline()
                assert line, "the server ended"
                said += line
        yield found[0].decode()
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            await process.communicate()
    assert process.returncode == 0


async def raw(address: str, request: bytes, *, is_cut: bool = False) -> bytes:
    """What is answered to bytes on a socket."""
    url = httpx2.URL(address)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request)
    await writer.drain()
    if is_cut:
        writer.close()
        await writer.wait_closed()
        return b""
    async with asyncio.timeout(10):
        answer = await reader.read(10_000)
    writer.close()
    return answer


async def test_the_real_server_takes_refuses_answers_and_goes_on(tmp_path):
    echo, idle = await prepared(tmp_path)
    async with (
        served(tmp_path) as address,
        httpx2.AsyncClient(base_url=address, timeout=20, trust_env=False) as client,
    ):
        answers = await asyncio.gather(*(client.post(echo, json={"n": n}) for n in range(50)))
        assert {answer.status_code for answer in answers} == {201}
        assert sorted(answer.json()["got"] for answer in answers) == list(range(50))
        head = await client.head(echo)
        assert (head.status_code, head.content) == (201, b"")
        accepted = await client.post(idle, json={})
        assert (accepted.status_code, accepted.text) == (200, "Accepted")
        assert (await client.post("/hooks/nothing", json={})).status_code == 410
        large = await client.post(idle, content=bytes(6 * 1024 * 1024))
        assert large.status_code == 413
        deep = b"[" * 4_000_000
        kind = {"content-type": "application/json"}
        assert (await client.post(echo, content=deep, headers=kind)).status_code == 400

        async def endless():
            for _ in range(10):
                yield bytes(1024 * 1024)

        assert (await client.post(idle, content=endless())).status_code == 413
        first = f"POST {idle} HTTP/1.1\r\nHost: x\r\n".encode()
        assert b" 400 " in await raw(address, first + b"Content-Length: x\r\n\r\n")
        await raw(address, first + b"Content-Length: 100\r\n\r\nhalf", is_cut=True)
        assert (await client.post(echo, json={"n": "on"})).json() == {"got": "on"}
    runtime = await build(tmp_path)
    owner = await runtime.users.ensure_owner()
    hooks = {hook.name: hook.id for hook in await runtime.webhooks.all(by=owner)}
    waiting = await runtime.webhooks.queue(hooks["idle"], by=owner)
    assert [event.state for event in waiting] == ["held"]
    await runtime.close()
