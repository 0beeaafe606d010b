"""A session with an IMAP server (RFC 3501), over the standard library's client.

It adds what ``imaplib`` lacks: the guarded address, folder names in modified UTF-7, quoting that
cannot be escaped from, a limit on what is read at once, and errors that say what to do.
"""

from __future__ import annotations

import base64
import imaplib
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from millrace.appkit import Call
from millrace.apps.email.dial import Server
from millrace.errors import (
    BundleValidationError,
    ConnectionFailure,
    DataError,
    InvalidAccessTokenError,
    InvalidConfigurationError,
    ModuleTimeoutError,
)

MAX_MESSAGE_BYTES = 50 * 1024 * 1024
"""A larger message is read up to `HEAD_BYTES`, without its attachments."""

HEAD_BYTES = 1024 * 1024
TIMEOUT_SECONDS = 40.0

_AT_ONCE = 200
"""UIDs named in one command: far below the 8,192 octets of a line that RFC 7162, 4, advises."""

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
_INTERNAL_DATE = re.compile(rb'\bINTERNALDATE "([^"]+)"')


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One message as the server keeps it."""

    uid: int
    raw: bytes
    size_bytes: int
    flags: tuple[str, ...]
    received_at: datetime | None

    @property
    def is_whole(self) -> bool:
        """False when only the beginning was read."""
        return self.size_bytes <= MAX_MESSAGE_BYTES


class _Client(imaplib.IMAP4):
    """IMAP4 that connects to one address and speaks TLS to a name."""

    def __init__(self, server: Server, address: str, timeout: float) -> None:
        self._tls = server.tls if server.security == "tls" else None
        super().__init__(address, server.port, timeout)

    def _create_socket(self, timeout: float | None) -> Any:
        # The one place where the library makes its socket; typeshed does not know it.
        plain = super()._create_socket(timeout)  # pyright: ignore[reportAttributeAccessIssue]
        return self._tls.wrap_socket(plain) if self._tls else plain

    def read(self, size: int) -> bytes:
        # The size is what the server announces; a literal beyond the limit is never allocated.
        if size > MAX_MESSAGE_BYTES + HEAD_BYTES:
            raise self.abort("the server announced more than was asked for")
        return super().read(size)


class Session:
    """A signed-in session."""

    def __init__(self, client: imaplib.IMAP4) -> None:
        self._client = client
        # Many servers tell the whole of it only to those who have signed in.
        self._capabilities = client.capability()[1][-1].decode("ascii", "replace").upper().split()
        self.uid_validity = 0
        """Of the folder that is open: when it changes, every UID known before is void."""
        self.uid_next = 0
        """No message of the open folder had this UID or a higher one when it was opened."""

    def open(self, folder: str, *, is_read_only: bool) -> None:
        """Go to a folder.

        Raises:
            InvalidConfigurationError: there is no such folder.
        """
        status, _ = self._client.select(_folder(folder), readonly=is_read_only)
        if status != "OK":
            raise InvalidConfigurationError(
                "Email: the folder cannot be opened. Check its name; INBOX is the incoming mail."
            )
        self.uid_validity = self._untagged_number("UIDVALIDITY")
        self.uid_next = self._untagged_number("UIDNEXT")

    def _untagged_number(self, name: str) -> int:
        value = self._client.untagged_responses.get(name) or [b"0"]
        last = value[-1]
        digits = re.search(rb"\d+", last) if isinstance(last, bytes) else None
        return int(digits[0]) if digits else 0

    def search(self, *criteria: str, texts: Iterable[tuple[str, str]] = ()) -> list[int]:
        """UIDs of the messages that meet everything, ascending.

        Args:
            criteria: Keywords as they go over the wire; never with text from outside.
            texts: Keyword and text (``("SUBJECT", "order")``), found anywhere, case ignored.
        """
        words = list(criteria) or ["ALL"]
        foreign = []
        for keyword, text in texts:
            if text.isascii():
                words += [keyword, _quoted(text)]
            else:
                foreign.append((keyword, text))
        found = self._uids("SEARCH", *words)
        # The client can send one literal in a command, so each text that needs one asks for itself.
        for keyword, text in foreign:
            _single_line(text)
            self._client.literal = text.encode()
            found &= self._uids("SEARCH", "CHARSET", "UTF-8", keyword)
        return sorted(found)

    def _uids(self, *command: str) -> set[int]:
        data = self._do("search", self._client.uid(*command))
        return {int(uid) for line in data if line for uid in line.split()}

    def fetch(self, uids: Sequence[int]) -> Iterator[Stored]:
        """The messages, one at a time and in the given order, without marking them as read.

        A message that is gone by now is left out.
        """
        for start in range(0, len(uids), _AT_ONCE):
            some = uids[start : start + _AT_ONCE]
            lines = self._lines(some, "UID RFC822.SIZE FLAGS INTERNALDATE")
            for uid in some:
                line = lines.get(uid, b"")
                if size := _SIZE.search(line):
                    size_bytes = int(size[1])
                    if (raw := self._raw(uid, size_bytes)) is not None:
                        flags = _FLAGS.search(line)
                        yield Stored(
                            uid=uid,
                            raw=raw,
                            size_bytes=size_bytes,
                            flags=tuple(flags[1].decode("ascii", "replace").split())
                            if flags
                            else (),
                            received_at=_internal_date(line),
                        )

    def _raw(self, uid: int, size_bytes: int) -> bytes | None:
        cut = "" if size_bytes <= MAX_MESSAGE_BYTES else f"<0.{HEAD_BYTES}>"
        data = self._do("fetch", self._client.uid("FETCH", str(uid), f"(UID BODY.PEEK[]{cut})"))
        return next((entry[1] for entry in data if isinstance(entry, tuple)), None)

    def received(self, uids: Sequence[int]) -> dict[int, datetime]:
        """When the server received each message; those that are gone are missing."""
        found: dict[int, datetime] = {}
        for start in range(0, len(uids), _AT_ONCE):
            lines = self._lines(uids[start : start + _AT_ONCE], "UID INTERNALDATE")
            for uid, line in lines.items():
                if (when := _internal_date(line)) is not None:
                    found[uid] = when
        return found

    def _lines(self, uids: Sequence[int], items: str) -> dict[int, bytes]:
        """What the server says of each message; it may speak of others in between."""
        data = self._do("fetch", self._client.uid("FETCH", _set(uids), f"({items})"))
        lines: dict[int, bytes] = {}
        for line in data:
            uid = _UID.search(line) if isinstance(line, bytes) else None
            if uid and _INTERNAL_DATE.search(line):
                lines[int(uid[1])] = line
        return lines

    def has(self, uid: int) -> bool:
        """Whether the open folder holds a message."""
        return uid in self._uids("SEARCH", "UID", str(uid))

    def flag(self, uids: Sequence[int], flag: str, *, is_on: bool) -> None:
        """Set or remove a flag such as ``\\Seen``."""
        sign = "+" if is_on else "-"
        for start in range(0, len(uids), _AT_ONCE):
            some = _set(uids[start : start + _AT_ONCE])
            self._do("flag", self._client.uid("STORE", some, f"{sign}FLAGS.SILENT", f"({flag})"))

    def copy(self, uid: int, folder: str) -> None:
        """Copy a message; DataError when the folder does not exist."""
        self._do("copy", self._client.uid("COPY", str(uid), _folder(folder)))

    def move(self, uid: int, folder: str) -> None:
        """Move a message: at once where the server can (RFC 6851), else copy and remove."""
        if "MOVE" in self._capabilities:
            self._do("move", self._client.uid("MOVE", str(uid), _folder(folder)))
        else:
            self.copy(uid, folder)
            self.remove(uid)

    def remove(self, uid: int) -> None:
        """Delete a message for good, and no other that happens to be marked as deleted."""
        self.flag([uid], "\\Deleted", is_on=True)
        if "UIDPLUS" in self._capabilities:
            self._do("expunge", self._client.uid("EXPUNGE", str(uid)))
            return
        others = [other for other in self.search("DELETED") if other != uid]
        self.flag(others, "\\Deleted", is_on=False)
        self._do("expunge", self._client.expunge())
        self.flag(others, "\\Deleted", is_on=True)

    def append(self, folder: str, content: bytes, *, flags: str, now: datetime) -> int | None:
        """Put a message into a folder; its UID when the server tells it (RFC 4315)."""
        when = now.astimezone(UTC)
        stamp = f'"{when.day:2d}-{_MONTHS[when.month - 1]}-{when:%Y %H:%M:%S} +0000"'
        data = self._do("append", self._client.append(_folder(folder), flags, stamp, content))
        told = re.search(rb"APPENDUID \d+ (\d+)", b" ".join(line for line in data if line))
        return int(told[1]) if told else None

    def _do(self, what: str, answer: tuple[str, list[Any]]) -> list[Any]:
        status, data = answer
        if status == "OK":
            return data
        reason = b" ".join(line for line in data if isinstance(line, bytes))
        if b"TRYCREATE" in reason or b"NONEXISTENT" in reason:
            raise DataError(
                "Email: the target folder does not exist. Create it, or check its name."
            )
        raise DataError(
            f"Email: the server refused to {what}.", detail=reason.decode("utf-8", "replace")[:500]
        )


@contextmanager
def session(call: Call, server: Server) -> Iterator[Session]:
    """Connect, encrypt and sign in; sign out at the end.

    Raises:
        ConnectionFailure: the server cannot be reached or broke off.
        ModuleTimeoutError: it did not answer in time.
        InvalidAccessTokenError: it refused user name or password.
        InvalidConfigurationError: the guard refused its address, or it cannot do what is asked.
    """
    timeout = call.timeout.total_seconds() if call.timeout else TIMEOUT_SECONDS
    client: imaplib.IMAP4 | None = None
    try:
        client = _Client(server, server.address(call), timeout)
        if server.security == "starttls":
            if "STARTTLS" not in client.capabilities:
                raise InvalidConfigurationError(
                    f"Email: {server.label} does not offer STARTTLS; check port and encryption."
                )
            client.starttls(server.tls)
        _sign_in(client, server)
        yield Session(client)
        with suppress(OSError, imaplib.IMAP4.error):
            client.logout()
    except TimeoutError as error:
        raise ModuleTimeoutError(f"Email: {server.label} did not answer in time.") from error
    except ssl.SSLCertVerificationError as error:
        raise ConnectionFailure(
            f"Email: the certificate of {server.label} is not accepted ({error.verify_message})."
        ) from error
    except ssl.SSLError as error:
        raise ConnectionFailure(
            f"Email: TLS with {server.label} could not be agreed; check port and encryption."
        ) from error
    except imaplib.IMAP4.readonly as error:
        raise InvalidConfigurationError("Email: the folder can only be read.") from error
    except (OSError, imaplib.IMAP4.abort) as error:
        raise ConnectionFailure(f"Email: {server.label} cannot be reached or broke off.") from error
    except imaplib.IMAP4.error as error:
        raise DataError(f"Email: {server.label} refused the command.") from error
    finally:
        if client is not None:
            # Also after a time-out, when a polite LOGOUT would wait just as long again.
            with suppress(OSError):
                client.shutdown()


def _sign_in(client: imaplib.IMAP4, server: Server) -> None:
    user, password = server.user, server.password
    try:
        # PLAIN (RFC 4616) says how letters outside ASCII are encoded; LOGIN does not.
        if "AUTH=PLAIN" in client.capabilities or not (user + password).isascii():
            secret = f"\0{user}\0{password}".encode()
            client.authenticate("PLAIN", lambda _: secret)
        else:
            client.login(_quoted(user), _single_line(password))
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        if "UNAVAILABLE" in str(error):
            raise ConnectionFailure(
                f"Email: {server.label} cannot check the password now."
            ) from error
        raise InvalidAccessTokenError(
            f"Email: {server.label} refused the user name or the password."
            " Many providers want an app password."
        ) from error


def search_date(day: date) -> str:
    """A day as IMAP writes it, whatever the locale."""
    return f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year:04d}"


def modified_utf7(name: str) -> str:
    """A folder name as RFC 3501 5.1.3 writes it."""
    encoded: list[str] = []
    for piece in re.split(r"([^\x20-\x7e]+)", name):
        if piece and not " " <= piece[0] <= "~":
            bits = base64.b64encode(piece.encode("utf-16-be", "surrogatepass"))
            encoded.append(f"&{bits.rstrip(b'=').replace(b'/', b',').decode()}-")
        else:
            encoded.append(piece.replace("&", "&-"))
    return "".join(encoded)


def _folder(name: str) -> str:
    return _quoted(modified_utf7(_single_line(name)))


def _quoted(text: str) -> str:
    escaped = _single_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _single_line(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise BundleValidationError(
            "Email: a folder, a search text or an account holds a line break or control character."
        )
    return text


def _set(uids: Iterable[int]) -> str:
    """A sequence set, neighbours drawn together: ``3:5,9``."""
    ranges: list[list[int]] = []
    for uid in sorted(uids):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)


def _internal_date(line: bytes) -> datetime | None:
    found = _INTERNAL_DATE.search(line)
    if found is None:
        return None
    # "17-Jul-1996 02:44:25 -0700", day padded with a space; %b would ask the locale.
    day, month, rest = found[1].decode("ascii", "replace").strip().split("-", 2)
    number = _MONTHS.index(month.title()) + 1 if month.title() in _MONTHS else 1
    try:
        return datetime.strptime(f"{day}-{number}-{rest}", "%d-%m-%Y %H:%M:%S %z").astimezone(UTC)
    except ValueError:
        return None
