"""The mailbox that SMTP delivers into and IMAP reads from. No protocol here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from typing import Any

FOLDERS = ("INBOX", "Drafts", "Sent", "Archive", "Trash")


@dataclass(kw_only=True)
class Letter:
    """One message in one folder."""

    uid: int
    raw: bytes
    received_at: datetime
    flags: set[str] = field(default_factory=set)

    @property
    def parsed(self) -> Message:
        """The message, parsed leniently."""
        return message_from_bytes(self.raw)


class Folder:
    """Messages in order of their UIDs."""

    def __init__(self, *, uid_validity: int) -> None:
        self.uid_validity = uid_validity
        self.uid_next = 1
        self.letters: list[Letter] = []

    def put(self, raw: bytes, *, received_at: datetime, flags: Iterable[str] = ()) -> Letter:
        """Add a message at the end."""
        letter = Letter(uid=self.uid_next, raw=raw, received_at=received_at, flags=set(flags))
        self.uid_next += 1
        self.letters.append(letter)
        return letter


class Mail:
    """One account with its folders; whoever knows the password may read it."""

    def __init__(self) -> None:
        self._generation = 0
        self.reset()

    def reset(self) -> None:
        """Empty folders again; the UIDs start anew, and UIDVALIDITY says so."""
        self._generation += 1
        self.folders = {name: self._folder() for name in FOLDERS}

    def _folder(self) -> Folder:
        return Folder(uid_validity=self._generation)

    def folder(self, name: str) -> Folder | None:
        """One folder; INBOX in any case (RFC 3501, 5.1)."""
        return self.folders.get("INBOX" if name.upper() == "INBOX" else name)

    def create(self, name: str) -> bool:
        """Make a folder; False when it exists."""
        if self.folder(name) is not None or not name:
            return False
        # A name used before must not give old UIDs a new meaning.
        self._generation += 1
        self.folders[name] = self._folder()
        return True

    def deliver(self, raw: bytes, *, received_at: datetime) -> Letter:
        """What arrives by SMTP goes to INBOX, whoever it is for."""
        return self.folders["INBOX"].put(raw, received_at=received_at)

    def summaries(self) -> list[dict[str, Any]]:
        """Every message in INBOX, for people and tests without an IMAP client."""
        found = []
        for letter in self.folders["INBOX"].letters:
            message = letter.parsed
            found.append(
                {
                    "uid": letter.uid,
                    "message_id": message.get("Message-ID"),
                    "from": message.get("From"),
                    "to": message.get("To"),
                    "subject": message.get("Subject"),
                    "received_at": letter.received_at,
                    "is_read": "\\Seen" in letter.flags,
                    "size_bytes": len(letter.raw),
                }
            )
        return found
