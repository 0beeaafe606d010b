"""The modules that read and tidy a mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from millrace.appkit import Answer, Call
from millrace.apps.email.compose import compose
from millrace.apps.email.dial import imap_server
from millrace.apps.email.imap import Session, Stored, search_date, session
from millrace.apps.email.message import read_message
from millrace.errors import DataError

DEFAULT_LIMIT = 10
"""Messages given by one operation when the module names no limit."""

_CRITERIA = {"all": "ALL", "unread": "UNSEEN", "read": "SEEN"}


def watch(call: Call) -> Answer:
    """New messages, oldest first, at most `limit`.

    State: ``folder``, ``uidValidity``, ``lastId`` (the UID of the last message given), ``lastDate``
    (when the server received it) and ``toMark`` (UIDs to be marked as read).

    With *unread only*, a message is marked as read at the next check, after the cycle that worked
    on it was committed: marked at once, it would not be found again when that cycle is repeated.
    """
    given = call.parameters
    folder = given.get("folder") or "INBOX"
    marks = bool(given.get("mark_seen"))
    defers = marks and given.get("criteria") == "unread"
    with session(call, imap_server(call.connection)) as box:
        box.open(folder, is_read_only=not marks)
        state = call.state if call.state.get("folder", folder) == folder else {}
        is_same = state.get("uidValidity", box.uid_validity) == box.uid_validity
        if is_same and state.get("toMark"):
            box.flag(state["toMark"], "\\Seen", is_on=True)
        uids = _new(call, box, state, is_same=is_same)
        chosen = uids[: _limit(call)]
        received = box.received(chosen[-1:])
        bundles = [_bundle(call, stored, folder) for stored in box.fetch(chosen)]
        if marks and not defers:
            box.flag(chosen, "\\Seen", is_on=True)
        last = chosen[-1] if chosen else _start(call, box, state, is_same=is_same, found=uids)
        seen_until = received.get(last) or _instant(state.get("lastDate")) or call.now
        call.state.clear()
        call.state.update(
            folder=folder,
            uidValidity=box.uid_validity,
            lastId=last,
            lastDate=seen_until,
            toMark=chosen if defers else [],
        )
    return bundles


def _new(call: Call, box: Session, state: dict[str, Any], *, is_same: bool) -> list[int]:
    """UIDs not given before that meet the filters."""
    since = _instant(state.get("lastDate"))
    if not is_same and since is not None:
        # The server numbered its messages anew; when each was received is all that is left.
        return _received_after(box, _found(call, box, since=since), since)
    if state.get("lastId") is not None:
        last = int(state["lastId"])
        # "n:*" always holds the newest message, even below n (RFC 3501 6.4.8).
        return [uid for uid in _found(call, box, f"UID {last + 1}:*") if uid > last]
    if since is not None:
        return _received_after(box, _found(call, box, since=since), since)
    match call.parameters.get("start") or "now":
        case "all":
            return _found(call, box)
        case "since":
            since = _instant(call.parameters.get("since")) or call.now
            return _received_after(box, _found(call, box, since=since), since)
        case _:
            return []


def _received_after(box: Session, uids: list[int], since: datetime) -> list[int]:
    """IMAP searches by whole days; the rest is done here."""
    received = box.received(uids)
    return [uid for uid in uids if received.get(uid, since) > since]


def _start(
    call: Call, box: Session, state: dict[str, Any], *, is_same: bool, found: list[int]
) -> int:
    """The cursor when nothing was given: where it was, or the end of the folder."""
    if is_same and state.get("lastId") is not None:
        return int(state["lastId"])
    if box.uid_next:
        return box.uid_next - 1
    return max(box.search(), default=0)


def _found(call: Call, box: Session, *criteria: str, since: datetime | None = None) -> list[int]:
    given = call.parameters
    words = [_CRITERIA.get(given.get("criteria") or "all", "ALL"), *criteria]
    if since is not None:
        # A day earlier: the server compares days in a time zone of its own.
        words.append(f"SINCE {search_date((since - timedelta(days=1)).date())}")
    if (until := _instant(given.get("until"))) is not None:
        words.append(f"BEFORE {search_date((until + timedelta(days=2)).date())}")
    texts = [
        (keyword, str(given[name]).strip())
        for keyword, name in (
            ("FROM", "from"),
            ("TO", "to"),
            ("SUBJECT", "subject"),
            ("TEXT", "phrase"),
        )
        if given.get(name)
    ]
    return box.search(*words, texts=texts)


def get(call: Call) -> Answer:
    """Messages that meet the filters, or one by its UID, newest first unless told otherwise."""
    given = call.parameters
    folder = given.get("folder") or "INBOX"
    with session(call, imap_server(call.connection)) as box:
        box.open(folder, is_read_only=True)
        if given.get("uid") is not None:
            uids = [int(given["uid"])]
        else:
            since = _instant(given.get("since"))
            uids = _found(call, box, since=since)
            if since is not None:
                uids = _received_after(box, uids, since - timedelta(microseconds=1))
            if given.get("order") != "oldest":
                uids.reverse()
        limited = islice(_until(box.fetch(uids), _instant(given.get("until"))), _limit(call))
        return [_bundle(call, stored, folder) for stored in limited]


@contextmanager
def _message(call: Call) -> Iterator[tuple[Session, int, str]]:
    """The session with the folder open and the message's UID.

    Raises:
        DataError: the folder holds no such message (any more).
    """
    folder = call.parameters.get("folder") or "INBOX"
    uid = int(call.parameters["uid"])
    with session(call, imap_server(call.connection)) as box:
        box.open(folder, is_read_only=False)
        if not box.has(uid):
            raise DataError(
                "Email: the folder holds no message with this UID. UIDs belong to one folder: a"
                " message that was moved has another."
            )
        yield box, uid, folder


def _until(messages: Iterator[Stored], until: datetime | None) -> Iterator[Stored]:
    for stored in messages:
        if until is None or stored.received_at is None or stored.received_at <= until:
            yield stored


def mark_read(call: Call) -> Answer:
    """Set the flag that the message was read."""
    return _flag(call, is_on=True)


def mark_unread(call: Call) -> Answer:
    """Remove the flag that the message was read."""
    return _flag(call, is_on=False)


def _flag(call: Call, *, is_on: bool) -> Answer:
    with _message(call) as (box, uid, folder):
        box.flag([uid], "\\Seen", is_on=is_on)
    return {"uid": uid, "folder": folder}


def copy(call: Call) -> Answer:
    """Copy a message into another folder."""
    with _message(call) as (box, uid, folder):
        box.copy(uid, call.parameters["to_folder"])
    return {"uid": uid, "folder": folder, "toFolder": call.parameters["to_folder"]}


def move(call: Call) -> Answer:
    """Move a message into another folder, where it has another UID."""
    with _message(call) as (box, uid, folder):
        box.move(uid, call.parameters["to_folder"])
    return {"uid": uid, "folder": folder, "toFolder": call.parameters["to_folder"]}


def delete(call: Call) -> Answer:
    """Delete a message: into the trash when a folder is named, for good otherwise.

    A message that is gone already is no error, so that a repetition does no harm.
    """
    folder = call.parameters.get("folder") or "INBOX"
    uid = int(call.parameters["uid"])
    trash = call.parameters.get("trash_folder")
    with session(call, imap_server(call.connection)) as box:
        box.open(folder, is_read_only=False)
        is_there = box.has(uid)
        if is_there and trash:
            box.move(uid, trash)
        elif is_there:
            box.remove(uid)
    return {"uid": uid, "folder": folder, "deleted": is_there}


def create_draft(call: Call) -> Answer:
    """Put a message into the drafts, unsent.

    Its Message-ID comes from the call's key: a repetition finds the draft that is there already.
    """
    composed = compose(call, needs_recipient=False)
    folder = call.parameters.get("folder") or "Drafts"
    with session(call, imap_server(call.connection)) as box:
        box.open(folder, is_read_only=True)
        there = box.search(texts=[("HEADER Message-ID", composed.id)])
        uid = there[0] if there else None
        if uid is None:
            uid = box.append(folder, composed.content(), flags="(\\Draft \\Seen)", now=call.now)
    return {"uid": uid, "folder": folder, "messageId": composed.id}


def keep_copy(call: Call, content: bytes) -> None:
    """Put a sent message into the sent folder."""
    server = imap_server(call.connection)
    folder = (call.connection or {}).get("sent_folder") or "Sent"
    with session(call, server) as box:
        box.append(folder, content, flags="(\\Seen)", now=call.now)


def iterate_attachments(call: Call) -> Answer:
    """One bundle for each attachment."""
    attachments = call.parameters.get("attachments") or []
    return [
        each if isinstance(each, dict) else {"fileName": each.name, "data": each}
        for each in attachments
        if each
    ]


async def check(call: Call) -> Answer:
    """Sign in and out again: the test of a connection, which nobody runs in a thread for us."""

    def sign_in() -> None:
        with session(call, imap_server(call.connection)):
            pass

    await asyncio.to_thread(sign_in)
    return {}


def _bundle(call: Call, stored: Stored, folder: str) -> dict[str, Any]:
    return {
        "uid": stored.uid,
        "folder": folder,
        **read_message(stored.raw, files=call.files, is_whole=stored.is_whole),
        "receivedAt": stored.received_at,
        "isRead": "\\Seen" in stored.flags,
        "flags": list(stored.flags),
        "size": stored.size_bytes,
    }


def _limit(call: Call) -> int:
    limit = call.parameters.get("limit")
    return DEFAULT_LIMIT if limit is None else max(1, int(limit))


def _instant(value: Any) -> datetime | None:
    """An instant as a parameter or a kept state has it."""
    if isinstance(value, str) and value:
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
