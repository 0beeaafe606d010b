"""A small SMTP server (RFC 5321) that delivers into the practice mailbox.

It knows EHLO, AUTH PLAIN and LOGIN, SIZE, 8BITMIME, SMTPUTF8 and PIPELINING. Signing in is allowed,
not required. Some recipients misbehave, so that failures can be practised:

=============  ====================================================
``refused@``   550: there is no such mailbox
``later@``     450: try again later
``full@``      552: the mailbox is full
``lost@``      the message is delivered, but the answer never comes
=============  ====================================================
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import re

from millrace.clock import Clock
from millrace.practice.mail import Mail

LARGEST_MESSAGE_BYTES = 25 * 1024 * 1024
IDLE_SECONDS = 300
_PATH = re.compile(rb"(?:FROM|TO):\s*<([^<>\s]*)>(.*)", re.IGNORECASE | re.DOTALL)
_MISBEHAVING = {
    b"refused": "550 5.1.1 There is no such mailbox",
    b"later": "450 4.2.0 Try again later",
    b"full": "552 5.2.2 The mailbox is full",
}


class SmtpServer:
    """Handles the connections of one listening socket."""

    def __init__(self, mail: Mail, *, clock: Clock, user: str, password: str) -> None:
        self._mail = mail
        self._clock = clock
        self._credentials = (user.encode(), password.encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until QUIT or the client goes away."""
        session = _Session(self._mail, self._clock, self._credentials, reader, writer)
        try:
            await session.run()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        except (ValueError, asyncio.LimitOverrunError):
            writer.write(b"500 5.5.2 The line is too long\r\n")
        finally:
            writer.close()


class _Session:
    def __init__(
        self,
        mail: Mail,
        clock: Clock,
        credentials: tuple[bytes, bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._mail = mail
        self._clock = clock
        self._credentials = credentials
        self._reader = reader
        self._writer = writer
        self._greeted = False
        self._clear()

    def _clear(self) -> None:
        self._sender: bytes | None = None
        self._recipients: list[bytes] = []

    async def run(self) -> None:
        await self._say("220 practice ESMTP")
        while line := await self._line():
            verb, _, rest = line.partition(b" ")
            match verb.upper():
                case b"EHLO" | b"HELO":
                    await self._greet(is_extended=verb.upper() == b"EHLO")
                case b"AUTH":
                    await self._authenticate(rest)
                case b"MAIL":
                    await self._from(rest)
                case b"RCPT":
                    await self._to(rest)
                case b"DATA":
                    if not await self._data():
                        return
                case b"RSET":
                    self._clear()
                    await self._say("250 2.0.0 OK")
                case b"NOOP":
                    await self._say("250 2.0.0 OK")
                case b"VRFY":
                    await self._say("252 2.1.5 Send it and see")
                case b"QUIT":
                    await self._say("221 2.0.0 Bye")
                    return
                case _:
                    await self._say("500 5.5.1 Unknown command")

    async def _line(self) -> bytes:
        async with asyncio.timeout(IDLE_SECONDS):
            return (await self._reader.readuntil(b"\r\n"))[:-2] or b" "

    async def _say(self, *lines: str) -> None:
        for number, line in enumerate(lines, 1):
            code, text = line[:3], line[4:]
            mark = " " if number == len(lines) else "-"
            self._writer.write(f"{code}{mark}{text}\r\n".encode())
        await self._writer.drain()

    async def _greet(self, *, is_extended: bool) -> None:
        self._clear()
        self._greeted = True
        extensions = [
            f"250 SIZE {LARGEST_MESSAGE_BYTES}",
            "250 8BITMIME",
            "250 SMTPUTF8",
            "250 PIPELINING",
            "250 ENHANCEDSTATUSCODES",
            "250 AUTH PLAIN LOGIN",
        ]
        await self._say("250 practice", *(extensions if is_extended else []))

    async def _authenticate(self, rest: bytes) -> None:
        mechanism, _, initial = rest.partition(b" ")
        try:
            if mechanism.upper() == b"PLAIN":
                given = initial or await self._ask(b"")
                _, user, password = base64.b64decode(given, validate=True).split(b"\0")
            elif mechanism.upper() == b"LOGIN":
                user = base64.b64decode(initial or await self._ask(b"Username:"), validate=True)
                password = base64.b64decode(await self._ask(b"Password:"), validate=True)
            else:
                await self._say("504 5.5.4 Unknown mechanism")
                return
        except (ValueError, binascii.Error):
            await self._say("501 5.5.2 Cannot be decoded")
            return
        known_user, known_password = self._credentials
        if hmac.compare_digest(user, known_user) & hmac.compare_digest(password, known_password):
            await self._say("235 2.7.0 Welcome")
        else:
            await self._say("535 5.7.8 User name or password is wrong")

    async def _ask(self, prompt: bytes) -> bytes:
        await self._say(f"334 {base64.b64encode(prompt).decode()}")
        return await self._line()

    async def _from(self, rest: bytes) -> None:
        path = _PATH.fullmatch(rest)
        if not self._greeted or path is None:
            await self._say("503 5.5.1 Say EHLO first" if path else "501 5.1.7 Bad sender")
            return
        size = re.search(rb"\bSIZE=(\d{1,20})", path[2], re.IGNORECASE)
        if size and int(size[1]) > LARGEST_MESSAGE_BYTES:
            await self._say("552 5.3.4 The message is too large")
            return
        self._clear()
        self._sender = path[1]
        await self._say("250 2.1.0 OK")

    async def _to(self, rest: bytes) -> None:
        path = _PATH.fullmatch(rest)
        if self._sender is None:
            await self._say("503 5.5.1 Say MAIL first")
        elif path is None or b"@" not in path[1]:
            await self._say("501 5.1.3 Bad recipient")
        elif answer := _MISBEHAVING.get(path[1].partition(b"@")[0].lower()):
            await self._say(answer)
        else:
            self._recipients.append(path[1])
            await self._say("250 2.1.5 OK")

    async def _data(self) -> bool:
        """Take the message; False when the connection is to end."""
        if not self._recipients:
            await self._say("503 5.5.1 Say RCPT first")
            return True
        await self._say("354 End with a dot on a line of its own")
        lines: list[bytes] = []
        size = 0
        while (line := await self._text_line()) != b".\r\n":
            size += len(line)
            if size <= LARGEST_MESSAGE_BYTES:
                lines.append(line[1:] if line.startswith(b".") else line)
        recipients, self._recipients = self._recipients, []
        if size > LARGEST_MESSAGE_BYTES:
            await self._say("552 5.3.4 The message is too large")
            return True
        trace = b"Return-Path: <%b>\r\nDelivered-To: %b\r\n" % (
            self._sender or b"",
            b", ".join(recipients),
        )
        self._mail.deliver(trace + b"".join(lines), received_at=self._clock.now())
        self._clear()
        if any(recipient.lower().startswith(b"lost@") for recipient in recipients):
            return False
        await self._say("250 2.0.0 Delivered")
        return True

    async def _text_line(self) -> bytes:
        async with asyncio.timeout(IDLE_SECONDS):
            return await self._reader.readuntil(b"\r\n")
