"""A small IMAP4rev1 server (RFC 3501) over the practice mailbox.

Complete enough for clients that fetch whole messages or headers: it has UIDPLUS (RFC 4315), MOVE
(RFC 6851), LITERAL+ (RFC 7888), SASL-IR (RFC 4959), UNSELECT (RFC 3691) and SPECIAL-USE (RFC 6154).
It does not describe the parts of a message (BODYSTRUCTURE) and does not push (IDLE).
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence

from millrace.clock import Clock
from millrace.practice.imap_fetch import Search, described, items, marks_as_read
from millrace.practice.imap_words import Malformed, instant, numbers, quoted, words
from millrace.practice.mail import Folder, Letter, Mail

IDLE_SECONDS = 1800
LARGEST_LITERAL_BYTES = 25 * 1024 * 1024
_CAPABILITIES = "IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS MOVE LITERAL+ UNSELECT SPECIAL-USE ENABLE"
_LITERAL = re.compile(rb"\{(\d{1,10})(\+?)\}$")
_USES = {"Drafts": "\\Drafts", "Sent": "\\Sent", "Archive": "\\Archive", "Trash": "\\Trash"}
_SYSTEM_FLAGS = {
    flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
}


class No(Exception):
    """A command that is understood and refused."""


class ImapServer:
    """Handles the connections of one listening socket."""

    def __init__(self, mail: Mail, *, clock: Clock, user: str, password: str) -> None:
        self._mail = mail
        self._clock = clock
        self._credentials = (user.encode(), password.encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until LOGOUT or the client goes away."""
        session = _Session(self._mail, self._clock, self._credentials, reader, writer)
        try:
            await session.run()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        except asyncio.LimitOverrunError:
            writer.write(b"* BYE The line is too long\r\n")
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
        self._is_signed_in = False
        self._folder: Folder | None = None
        self._is_read_only = False
        self._view: list[Letter] = []
        """The messages as this client numbers them: it must be told before that changes."""

    async def run(self) -> None:
        self._say(f"* OK [CAPABILITY {_CAPABILITIES}] practice")
        while True:
            await self._writer.drain()
            pieces = await self._command()
            tag, _, rest = pieces[0].strip().partition(b" ")
            name, _, pieces[0] = rest.partition(b" ")
            if not re.fullmatch(rb"[!-~]+", tag):
                self._say("* BAD Where is the tag?")
                continue
            if not await self._answer(
                tag.decode(), name.upper().decode("ascii", "replace"), pieces
            ):
                return

    async def _command(self) -> list[bytes]:
        """Text, literal, text, …: one command as it came."""
        pieces: list[bytes] = []
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                line = (await self._reader.readuntil(b"\r\n"))[:-2]
            literal = _LITERAL.search(line)
            if literal is None:
                pieces.append(line)
                return pieces
            size = int(literal[1])
            if size > LARGEST_LITERAL_BYTES:
                self._say("* BYE The literal is too large")
                raise ConnectionAbortedError
            if not literal[2]:
                self._say("+ Go on")
                await self._writer.drain()
            pieces += [line[: literal.start()], await self._reader.readexactly(size)]

    async def _answer(self, tag: str, name: str, pieces: list[bytes]) -> bool:
        """Carry out one command; False when it was the last."""
        is_uid = name == "UID"
        try:
            given = words(pieces) if name != "AUTHENTICATE" else list(pieces[0].split())
            if is_uid and given:
                name = given.pop(0).upper().decode("ascii", "replace")
            method = self._method(name, is_uid=is_uid)
            result = method(*([is_uid] if name in _WITH_UID else []), *given)
            done = await result if isinstance(result, Awaitable) else result
        except No as refusal:
            self._say(f"{tag} NO {refusal}")
        except (Malformed, TypeError, ValueError, AttributeError, LookupError):
            # Words that are missing, too many or of the wrong kind.
            self._say(f"{tag} BAD {name} cannot be understood")
        else:
            if name == "LOGOUT":
                self._say(f"{tag} OK Bye")
                await self._writer.drain()
                return False
            # While a client counts by numbers, nothing may vanish under it (RFC 3501, 7.4.1).
            self._tell_changes(may_expunge=is_uid or name not in ("FETCH", "STORE", "SEARCH"))
            self._say(f"{tag} OK {done or name + ' done'}")
        return True

    def _method(self, name: str, *, is_uid: bool) -> Callable[..., str | Awaitable[None] | None]:
        if is_uid and name not in _WITH_UID:
            raise Malformed
        always = {
            "CAPABILITY": self._capability,
            "NOOP": self._nothing,
            "LOGOUT": self._logout,
            "LOGIN": self._login,
            "AUTHENTICATE": self._authenticate,
        }
        if name in always:
            return always[name]
        signed_in = {
            "SELECT": self._select,
            "EXAMINE": self._examine,
            "CREATE": self._create,
            "DELETE": self._delete,
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._subscribe,
            "LIST": self._list,
            "LSUB": self._list,
            "STATUS": self._status,
            "APPEND": self._append,
            "ENABLE": self._enable,
        }
        selected = {
            "CHECK": self._nothing,
            "CLOSE": self._close,
            "UNSELECT": self._unselect,
            "EXPUNGE": self._expunge,
            "SEARCH": self._search,
            "FETCH": self._fetch,
            "STORE": self._store,
            "COPY": self._copy,
            "MOVE": self._move,
        }
        if name not in signed_in and name not in selected:
            raise Malformed
        if not self._is_signed_in:
            raise No("Sign in first")
        if name in selected and self._folder is None:
            raise No("Select a folder first")
        return signed_in[name] if name in signed_in else selected[name]

    def _say(self, line: str | bytes) -> None:
        self._writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def _tell_changes(self, *, may_expunge: bool) -> None:
        if self._folder is None:
            return
        if may_expunge:
            there = {id(letter) for letter in self._folder.letters}
            for number in range(len(self._view), 0, -1):
                if id(self._view[number - 1]) not in there:
                    del self._view[number - 1]
                    self._say(f"* {number} EXPUNGE")
        seen = {id(letter) for letter in self._view}
        new = [letter for letter in self._folder.letters if id(letter) not in seen]
        if new:
            self._view += new
            self._say(f"* {len(self._view)} EXISTS")

    # Any state

    def _capability(self) -> None:
        self._say(f"* CAPABILITY {_CAPABILITIES}")

    def _nothing(self) -> None:
        """Changes are told after every command."""

    def _logout(self) -> None:
        self._say("* BYE practice")

    def _enable(self, *names: bytes) -> None:
        self._say("* ENABLED")

    def _login(self, user: bytes, password: bytes) -> str:
        known_user, known_password = self._credentials
        if not (
            hmac.compare_digest(user, known_user) & hmac.compare_digest(password, known_password)
        ):
            raise No("[AUTHENTICATIONFAILED] User name or password is wrong")
        self._is_signed_in = True
        return f"[CAPABILITY {_CAPABILITIES}] Welcome"

    async def _authenticate(self, mechanism: bytes, initial: bytes | None = None) -> str:
        if mechanism.upper() != b"PLAIN":
            raise No("Only PLAIN is known")
        if initial is None:
            self._say("+ ")
            await self._writer.drain()
            initial = (await self._reader.readuntil(b"\r\n"))[:-2]
        _, user, password = base64.b64decode(initial, validate=True).split(b"\0")
        return self._login(user, password)

    # Signed in

    def _named(self, name: bytes) -> Folder:
        folder = self._mail.folder(name.decode("ascii", "replace"))
        if folder is None:
            raise No("[NONEXISTENT] There is no such folder")
        return folder

    def _select(self, name: bytes) -> str:
        return self._open(name, is_read_only=False)

    def _examine(self, name: bytes) -> str:
        return self._open(name, is_read_only=True)

    def _open(self, name: bytes, *, is_read_only: bool) -> str:
        self._folder = None
        folder = self._named(name)
        self._folder, self._is_read_only = folder, is_read_only
        self._view = list(folder.letters)
        flags = " ".join(_SYSTEM_FLAGS.values())
        self._say(f"* FLAGS ({flags})")
        self._say(f"* {len(self._view)} EXISTS")
        self._say("* 0 RECENT")
        self._say(f"* OK [UIDVALIDITY {folder.uid_validity}] UIDs")
        self._say(f"* OK [UIDNEXT {folder.uid_next}] Next UID")
        self._say(f"* OK [PERMANENTFLAGS ({'' if is_read_only else flags + ' ' + chr(92) + '*'})]")
        return "[READ-ONLY] Opened" if is_read_only else "[READ-WRITE] Opened"

    def _create(self, name: bytes) -> None:
        if not self._mail.create(name.decode("ascii", "replace").rstrip("/")):
            raise No("[ALREADYEXISTS] There is such a folder")

    def _delete(self, name: bytes) -> None:
        self._named(name)
        if name.upper() == b"INBOX":
            raise No("INBOX stays")
        del self._mail.folders[name.decode("ascii", "replace")]

    def _subscribe(self, name: bytes) -> None:
        self._named(name)

    def _list(self, reference: bytes, pattern: bytes) -> None:
        if not pattern:
            self._say('* LIST (\\Noselect) "/" ""')
            return
        glob = re.escape((reference + pattern).decode("ascii", "replace"))
        wanted = re.compile(glob.replace(r"\*", ".*").replace("%", "[^/]*"), re.IGNORECASE)
        for name in self._mail.folders:
            if wanted.fullmatch(name):
                self._say(f'* LIST (\\HasNoChildren {_USES.get(name, "")}) "/" {quoted(name)}')

    def _status(self, name: bytes, wanted: list[bytes]) -> None:
        folder = self._named(name)
        unseen = sum("\\Seen" not in letter.flags for letter in folder.letters)
        facts = {
            "MESSAGES": len(folder.letters),
            "RECENT": 0,
            "UIDNEXT": folder.uid_next,
            "UIDVALIDITY": folder.uid_validity,
            "UNSEEN": unseen,
        }
        told = " ".join(
            f"{item.decode().upper()} {facts[item.decode().upper()]}" for item in wanted
        )
        self._say(f"* STATUS {quoted(name.decode())} ({told})")

    def _append(self, name: bytes, *rest: bytes | list[bytes]) -> str:
        folder = self._mail.folder(name.decode("ascii", "replace"))
        if folder is None:
            raise No("[TRYCREATE] There is no such folder")
        flags, when, content = [], self._clock.now(), rest[-1]
        for option in rest[:-1]:
            if isinstance(option, list):
                flags = _flags(option)
            else:
                when = instant(option)
        if not isinstance(content, bytes):
            raise Malformed
        letter = folder.put(content, received_at=when, flags=flags)
        return f"[APPENDUID {folder.uid_validity} {letter.uid}] Added"

    # A folder is open

    def _chosen(self, given: bytes, *, is_uid: bool) -> Iterator[tuple[int, Letter]]:
        largest = self._largest[1] if is_uid else self._largest[0]
        ranges = list(numbers(given, largest=largest))
        for number, letter in enumerate(self._view, 1):
            if any((letter.uid if is_uid else number) in one for one in ranges):
                yield number, letter

    @property
    def _largest(self) -> tuple[int, int]:
        return len(self._view), max((letter.uid for letter in self._view), default=0)

    def _writable(self) -> Folder:
        if self._is_read_only or self._folder is None:
            raise No("[READ-ONLY] The folder was opened for reading")
        return self._folder

    def _close(self) -> None:
        if not self._is_read_only:
            self._remove(lambda letter: "\\Deleted" in letter.flags)
        self._unselect()

    def _unselect(self) -> None:
        self._folder, self._view = None, []

    def _expunge(self, is_uid: bool, given: bytes | None = None) -> None:
        self._writable()
        chosen = {id(letter) for _, letter in self._chosen(given, is_uid=True)} if given else None
        self._remove(
            lambda letter: "\\Deleted" in letter.flags and (chosen is None or id(letter) in chosen)
        )

    def _remove(self, is_unwanted: Callable[[Letter], bool]) -> None:
        folder = self._writable()
        folder.letters = [letter for letter in folder.letters if not is_unwanted(letter)]

    def _search(self, is_uid: bool, *given: bytes | list) -> None:
        wanted = list(given)
        if wanted and isinstance(wanted[0], bytes) and wanted[0].upper() == b"CHARSET":
            charset = wanted[1]
            if not isinstance(charset, bytes) or charset.upper() not in (b"UTF-8", b"US-ASCII"):
                raise No("[BADCHARSET (UTF-8)] Only UTF-8 is known")
            del wanted[:2]
        search = Search(wanted, largest=self._largest)
        found = [place for place in enumerate(self._view, 1) if search.finds(place)]
        shown = [letter.uid if is_uid else number for number, letter in found]
        self._say(" ".join(["* SEARCH", *map(str, shown)]))

    async def _fetch(self, is_uid: bool, given: bytes, what: bytes | list[bytes]) -> None:
        wanted = items(what)
        if is_uid and b"UID" not in wanted:
            wanted = [b"UID", *wanted]
        for number, letter in list(self._chosen(given, is_uid=is_uid)):
            shown = wanted
            if marks_as_read(wanted) and not self._is_read_only and "\\Seen" not in letter.flags:
                letter.flags.add("\\Seen")
                shown = wanted if b"FLAGS" in wanted else [*wanted, b"FLAGS"]
            self._say(b"* %d FETCH (%b)" % (number, described(letter, shown)))
            await self._writer.drain()

    def _store(self, is_uid: bool, given: bytes, how: bytes, *flags: bytes | list[bytes]) -> None:
        self._writable()
        match = re.fullmatch(rb"([+-]?)FLAGS(\.SILENT)?", how.upper())
        if match is None:
            raise Malformed
        names = flags[0] if isinstance(flags[0], list) else flags
        changed = set(_flags([name for name in names if isinstance(name, bytes)]))
        for number, letter in self._chosen(given, is_uid=is_uid):
            if match[1] == b"+":
                letter.flags |= changed
            elif match[1] == b"-":
                letter.flags -= changed
            else:
                letter.flags = set(changed)
            if not match[2]:
                shown = [b"UID", b"FLAGS"] if is_uid else [b"FLAGS"]
                self._say(b"* %d FETCH (%b)" % (number, described(letter, shown)))

    def _copy(self, is_uid: bool, given: bytes, name: bytes) -> str:
        told, _ = self._copied(given, name, is_uid=is_uid)
        return f"{told} Copied"

    def _move(self, is_uid: bool, given: bytes, name: bytes) -> str:
        self._writable()
        told, moved = self._copied(given, name, is_uid=is_uid)
        gone = {id(letter) for letter in moved}
        self._remove(lambda letter: id(letter) in gone)
        self._say(f"* OK {told} Moved")
        return "Moved"

    def _copied(self, given: bytes, name: bytes, *, is_uid: bool) -> tuple[str, list[Letter]]:
        target = self._mail.folder(name.decode("ascii", "replace"))
        if target is None:
            raise No("[TRYCREATE] There is no such folder")
        old = [letter for _, letter in self._chosen(given, is_uid=is_uid)]
        new = [
            target.put(letter.raw, received_at=letter.received_at, flags=letter.flags)
            for letter in old
        ]
        if not old:
            return "", old
        uids = [",".join(str(letter.uid) for letter in letters) for letters in (old, new)]
        return f"[COPYUID {target.uid_validity} {uids[0]} {uids[1]}]", old


_WITH_UID = frozenset({"SEARCH", "FETCH", "STORE", "COPY", "MOVE", "EXPUNGE"})


def _flags(given: Sequence[bytes]) -> list[str]:
    names = [flag.decode("ascii", "replace") for flag in given]
    return [_SYSTEM_FLAGS.get(name.lower(), name) for name in names]
