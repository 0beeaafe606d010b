"""Send a message by SMTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from millrace.appkit import Answer, Call
from millrace.apps.email.compose import Composed, compose
from millrace.apps.email.dial import Server, smtp_server
from millrace.errors import (
    ConnectionFailure,
    DataError,
    InvalidAccessTokenError,
    InvalidConfigurationError,
    ModuleTimeoutError,
    OutcomeUnknownError,
)

if TYPE_CHECKING:
    from aiosmtplib import SMTP

TIMEOUT_SECONDS = 40.0
"""For each step of the conversation when the call sets no time of its own."""


async def send(call: Call) -> Answer:
    """Send one message to all of its recipients, or to none.

    A server that refuses one recipient refuses the message: nobody gets it, and the error says
    which recipient it was. Once the whole message has been handed over and the answer does not
    come, nobody can know whether it was sent; that is an OutcomeUnknownError, never a retry.
    """
    composed = await asyncio.to_thread(compose, call)
    content = await asyncio.to_thread(composed.content)
    async with _session(call, smtp_server(call.connection)) as client:
        reply = await _deliver(client, composed, content)
    if call.parameters.get("save_after_sent"):
        await _keep_copy(call, content)
    return {
        "messageId": composed.id,
        "accepted": [box.address for box in composed.recipients],
        "response": reply,
    }


async def check(call: Call) -> Answer:
    """Sign in and out again: the test of a connection."""
    async with _session(call, smtp_server(call.connection)):
        return {}


@asynccontextmanager
async def _session(call: Call, server: Server) -> AsyncIterator[SMTP]:
    """A client that is connected, encrypted and signed in; errors become ours."""
    import aiosmtplib

    timeout = call.timeout.total_seconds() if call.timeout else TIMEOUT_SECONDS
    address = await asyncio.to_thread(server.address, call)
    client = aiosmtplib.SMTP(
        hostname=address,
        port=server.port,
        use_tls=server.security == "tls",
        start_tls=False,
        tls_context=server.tls,
        timeout=timeout,
        # The name of this machine is nobody's business; RFC 5321 4.1.3 allows an address instead.
        local_hostname="[127.0.0.1]",
    )
    try:
        await client.connect()
        await client.ehlo()
        if server.security == "starttls":
            _require(client, "starttls", server)
            await client.starttls(server_hostname=server.host, tls_context=server.tls)
            await client.ehlo()
        if server.user:
            _require(client, "auth", server)
            await client.login(server.user, server.password)
        yield client
        # Whatever happens now, the work is done: a complaint would make someone repeat it.
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit()
    except aiosmtplib.SMTPException as error:
        raise _translate(error, server) from error
    except OSError as error:
        raise _unreached(f"the connection to {server.label} broke{_tls_reason(error)}") from error
    finally:
        client.close()


def _require(client: SMTP, extension: str, server: Server) -> None:
    """A server that stops offering encryption may be somebody in between (T-079): never go on."""
    if not client.supports_extension(extension):
        wanted = "STARTTLS" if extension == "starttls" else "a sign-in with this encryption"
        raise InvalidConfigurationError(
            f"Email: {server.label} does not offer {wanted}; check port and encryption."
        )


async def _deliver(client: SMTP, composed: Composed, content: bytes) -> str:
    import aiosmtplib

    options = [f"SIZE={len(content)}"] if client.supports_extension("size") else []
    limit = client.esmtp_extensions.get("size", "")
    if limit.isdigit() and 0 < int(limit) < len(content):
        raise DataError(
            f"Email: the message has {len(content):,} bytes and the server takes {int(limit):,}."
            " Send smaller attachments, or links to them."
        )
    if composed.needs_smtputf8:
        if not client.supports_extension("smtputf8"):
            raise DataError(
                "Email: an address has letters outside ASCII before the @, and the server cannot"
                " send to such addresses."
            )
        options += ["SMTPUTF8", "BODY=8BITMIME"]
    encoding = "utf-8" if composed.needs_smtputf8 else "ascii"

    await client.mail(composed.sender.address, options=options, encoding=encoding)
    for number, box in enumerate(composed.recipients, 1):
        try:
            await client.rcpt(box.address, encoding=encoding)
        except aiosmtplib.SMTPRecipientRefused as error:
            await client.rset()
            place = f"recipient {number} of {len(composed.recipients)}"
            raise _refused(error, f"{place}; nothing was sent") from error
    try:
        reply = await client.data(content)
    except aiosmtplib.SMTPDataError as error:
        raise _refused(error, "the message") from error
    except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError) as error:
        raise OutcomeUnknownError(
            "Email: the server took the message and did not answer any more, so it may have been"
            " sent or not. Look into the sent mail or ask a recipient before repeating."
        ) from error
    return reply.message


async def _keep_copy(call: Call, content: bytes) -> None:
    from millrace.apps.email.mailbox import keep_copy
    from millrace.errors import ModuleError

    try:
        await asyncio.to_thread(keep_copy, call, content)
    except ModuleError as error:
        # The message is on its way: an error now would have it sent twice.
        call.log.warning("a sent message was not kept", extra={"reason": type(error).__name__})


def _translate(error: Any, server: Server) -> Exception:
    import aiosmtplib

    match error:
        case aiosmtplib.SMTPAuthenticationError() if error.code >= 500:
            return InvalidAccessTokenError(
                f"Email: {server.label} refused the user name or the password ({error.code})."
                " Many providers want an app password."
            )
        case aiosmtplib.SMTPTimeoutError():
            return ModuleTimeoutError(
                f"Email: {server.label} did not answer in time.", detail={"sent": False}
            )
        case aiosmtplib.SMTPSenderRefused():
            return _refused(error, "the sender")
        case aiosmtplib.SMTPResponseException():
            return _refused(error, "the conversation")
        case aiosmtplib.SMTPConnectError():
            return _unreached(f"{server.label} cannot be reached{_tls_reason(error)}")
    return _unreached(f"{server.label} closed the connection")


def _unreached(what: str) -> ConnectionFailure:
    """Something broke before the message was handed over: it may be sent again."""
    return ConnectionFailure(f"Email: {what}.", detail={"sent": False})


def _refused(error: Any, what: str) -> Exception:
    """4xx passes with time, 5xx does not (RFC 5321 4.2.1)."""
    # The server's text may quote an address, so it goes where only an error route reads it.
    detail = {"code": error.code, "response": error.message, "sent": False}
    if error.code < 500:
        return ConnectionFailure(f"Email: the server put off {what} ({error.code}).", detail=detail)
    if error.code in (530, 534, 535, 538):
        return InvalidAccessTokenError(
            f"Email: the server wants a sign-in ({error.code}); see the connection.", detail=detail
        )
    if error.code == 552:
        return DataError("Email: the message is too large for the server (552).", detail=detail)
    return DataError(f"Email: the server refused {what} ({error.code}).", detail=detail)


def _tls_reason(error: BaseException) -> str:
    import ssl

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f": its certificate is not accepted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return ": TLS could not be agreed; check port and encryption"
        cause = cause.__cause__ or cause.__context__
    return ""
