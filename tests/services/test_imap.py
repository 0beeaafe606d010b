"""The modules that read and tidy a mailbox, against two servers: the practice one and pymap."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from millrace.appkit.guard import GuardedDialer
from millrace.errors import (
    BundleValidationError,
    ConnectionFailure,
    DataError,
    InvalidAccessTokenError,
    InvalidConfigurationError,
    ModuleTimeoutError,
)


def letter(subject="Hello", *, sender="Bob <bob@example.com>", body="How are you?", files=()):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "Ada <ada@example.com>", subject
    message["Date"] = "Thu, 01 Jan 2026 10:00:00 +0100"
    message.set_content(body)
    for name, content in files:
        message.add_attachment(content, "application", "pdf", filename=name)
    return message


def subjects(bundles):
    return [bundle["subject"] for bundle in bundles]


async def test_watch_gives_what_is_new_once_and_oldest_first(mailbox, run):
    await mailbox.put(letter("old"))
    state = {}
    watch = {"state": state, "limit": 2}
    assert await run("email:watch", mailbox.connection, **watch) == []
    await mailbox.put(letter("one"), letter("two"), letter("three"))
    assert subjects(await run("email:watch", mailbox.connection, **watch)) == ["one", "two"]
    assert subjects(await run("email:watch", mailbox.connection, **watch)) == ["three"]
    assert await run("email:watch", mailbox.connection, **watch) == []
    assert len(await mailbox.unread()) == 4


async def test_a_check_that_is_repeated_gives_the_same(mailbox, run):
    state = {}
    await run("email:watch", mailbox.connection, state=state)
    await mailbox.put(letter("one"))
    given = {"criteria": "unread", "mark_seen": True}
    first = await run("email:watch", mailbox.connection, state=dict(state), **given)
    again = await run("email:watch", mailbox.connection, state=dict(state), **given)
    assert subjects(first) == subjects(again) == ["one"]


async def test_unread_mail_is_marked_after_its_cycle_was_committed(mailbox, run):
    state = {}
    given = {"state": state, "criteria": "unread", "mark_seen": True, "start": "all"}
    await mailbox.put(letter("one"))
    assert subjects(await run("email:watch", mailbox.connection, **given)) == ["one"]
    assert len(await mailbox.unread()) == 1
    assert await run("email:watch", mailbox.connection, **given) == []
    assert await mailbox.unread() == []


async def test_mail_of_all_kinds_is_marked_at_once(mailbox, run):
    await mailbox.put(letter("one"))
    await run("email:watch", mailbox.connection, state={}, mark_seen=True, start="all")
    assert await mailbox.unread() == []


async def test_watch_can_start_at_the_beginning_or_at_a_date(mailbox, run):
    await mailbox.put(letter("old"), when='" 1-Jan-2020 10:00:00 +0000"')
    await mailbox.put(letter("new"), when='" 1-Jan-2026 10:00:00 +0000"')
    everything = await run("email:watch", mailbox.connection, state={}, start="all")
    assert subjects(everything) == ["old", "new"]
    since = datetime(2026, 1, 1, 9, tzinfo=UTC)
    for start in ({"start": "since", "since": since}, {"state": {"lastDate": since.isoformat()}}):
        found = await run("email:watch", mailbox.connection, **{"state": {}, **start})
        assert subjects(found) == ["new"]
    later = since + timedelta(hours=2)
    given = {"state": {}, "start": "since", "since": later}
    assert await run("email:watch", mailbox.connection, **given) == []


async def test_when_the_uids_are_void_the_date_of_arrival_counts(mailbox, run):
    state = {}
    await mailbox.put(letter("old"), when='" 1-Jan-2020 10:00:00 +0000"')
    await run("email:watch", mailbox.connection, state=state, start="all")
    state |= {"uidValidity": 7, "lastId": 5000}
    await mailbox.put(letter("new"), when='" 1-Jan-2026 10:00:00 +0000"')
    assert subjects(await run("email:watch", mailbox.connection, state=state)) == ["new"]
    assert state["uidValidity"] != 7
    assert await run("email:watch", mailbox.connection, state=state) == []


async def test_another_folder_starts_anew(mailbox, run):
    state = {}
    await mailbox.put(letter("in"))
    await mailbox.put(letter("out"), folder="Sent")
    await run("email:watch", mailbox.connection, state=state, start="all")
    found = await run("email:watch", mailbox.connection, state=state, start="all", folder="Sent")
    assert subjects(found) == ["out"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"subject": "invoice"}, ["Your invoice"]),
        ({"subject": "Objednávka"}, ["Objednávka č. 7"]),
        ({"from": "cora"}, ["Objednávka č. 7"]),
        ({"from": "cora", "subject": "Objednávka", "phrase": "Čau"}, ["Objednávka č. 7"]),
        ({"from": "bob", "subject": "objednávka"}, []),
        ({"phrase": 'say "hi" \\'}, ["Your invoice"]),
        ({"to": "ada@"}, ["Your invoice", "Objednávka č. 7", "Hello"]),
        ({"criteria": "read"}, []),
    ],
)
async def test_filters_are_combined_in_every_language(mailbox, run, filters, found):
    await mailbox.put(
        letter("Your invoice", body='I say "hi" \\ and more'),
        letter("Objednávka č. 7", sender="Cora <cora@example.com>", body="Čau!"),
        letter("Hello"),
    )
    got = await run("email:get", mailbox.connection, order="oldest", **filters)
    assert subjects(got) == found


async def test_a_message_is_read_with_its_attachments(mailbox, run):
    (uid,) = await mailbox.put(
        letter("Účet", files=[("účet č. 1.pdf", b"%PDF-1"), ("b.pdf", b"%PDF-2")])
    )
    (got,) = await run("email:get", mailbox.connection, uid=uid)
    assert (got["uid"], got["folder"], got["subject"]) == (uid, "INBOX", "Účet")
    assert got["from"] == {"address": "bob@example.com", "name": "Bob"}
    assert got["to"] == [{"address": "ada@example.com", "name": "Ada"}]
    assert got["date"] == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert (got["text"], got["html"]) == ("How are you?\n", None)
    assert [each["fileName"] for each in got["attachments"]] == ["účet č. 1.pdf", "b.pdf"]
    assert run.files.read(got["attachments"][1]["data"]) == b"%PDF-2"
    assert got["isRead"] is False and got["isWhole"] is True
    each = await run("email:iterate-attachments", attachments=got["attachments"])
    assert [bundle["size"] for bundle in each] == [6, 6]
    assert len(await mailbox.unread()) == 1


async def test_get_gives_the_newest_first_between_two_instants(mailbox, run):
    for hour in (8, 9, 10, 11):
        when = f'" 1-Jan-2026 {hour:02}:00:00 +0000"'
        await mailbox.put(letter(str(hour)), when=when)
    window = {
        "since": datetime(2026, 1, 1, 9, tzinfo=UTC),
        "until": datetime(2026, 1, 1, 10, 30, tzinfo=UTC),
    }
    assert subjects(await run("email:get", mailbox.connection, **window)) == ["10", "9"]
    assert subjects(await run("email:get", mailbox.connection, limit=1)) == ["11"]
    assert await run("email:get", mailbox.connection, uid=99999) == []


async def test_messages_are_marked_copied_moved_and_deleted(mailbox, run):
    one, two, three, four = await mailbox.put(
        letter("one"), letter("two"), letter("three"), letter("four")
    )
    connection = mailbox.connection
    await run("email:mark-read", connection, uid=one)
    assert await mailbox.unread() == [two, three, four]
    await run("email:mark-unread", connection, uid=one)
    assert await mailbox.unread() == [one, two, three, four]
    await run("email:copy", connection, uid=one, to_folder="Sent")
    await run("email:move", connection, uid=two, to_folder="Sent")
    assert await mailbox.search("ALL") == [one, three, four]
    assert len(await mailbox.search("ALL", folder="Sent")) == 2
    assert (await run("email:delete", connection, uid=three))["deleted"] is True
    assert (await run("email:delete", connection, uid=three))["deleted"] is False
    await run("email:delete", connection, uid=four, trash_folder="Trash")
    assert await mailbox.search("ALL") == [one]
    assert len(await mailbox.search("ALL", folder="Trash")) == 1


async def test_deleting_one_message_spares_others_that_are_marked(mailbox, run):
    one, two = await mailbox.put(letter("one"), letter("two"))

    def mark(client):
        client.select()
        client.uid("STORE", str(one), "+FLAGS", "(\\Deleted)")

    await mailbox.look(mark)
    await run("email:delete", mailbox.connection, uid=two)
    assert await mailbox.search("ALL") == [one]


async def test_a_draft_is_made_once_however_often_it_is_asked_for(mailbox, run):
    await mailbox.look(lambda client: client.create('"Moje koncepty"'))
    given = {"folder": "Moje koncepty", "from": "ada@example.com", "subject": "Návrh", "text": "x"}
    first = await run("email:create-draft", mailbox.connection, key="e1/1", **given)
    again = await run("email:create-draft", mailbox.connection, key="e1/1", **given)
    other = await run("email:create-draft", mailbox.connection, key="e1/2", **given)
    assert first == again != other
    uids = await mailbox.search("DRAFT", folder='"Moje koncepty"')
    assert uids == [first["uid"], other["uid"]]


async def test_a_folder_may_have_any_name(mailbox, run):
    name = 'Účty & "co" \\ 台北'
    encoded = '"&ANoBDQ-ty &- \\"co\\" \\\\ &U,BTFw-"'
    await mailbox.look(lambda client: client.create(encoded))
    await mailbox.put(letter("one"), folder=encoded)
    assert subjects(await run("email:get", mailbox.connection, folder=name)) == ["one"]


async def test_a_folder_or_message_that_is_not_there_is_an_error(mailbox, run):
    (uid,) = await mailbox.put(letter())
    with pytest.raises(InvalidConfigurationError, match="folder cannot be opened"):
        await run("email:get", mailbox.connection, folder="Nowhere")
    with pytest.raises(DataError, match="no message with this UID"):
        await run("email:mark-read", mailbox.connection, uid=uid + 1)
    with pytest.raises(DataError):
        await run("email:move", mailbox.connection, uid=uid, to_folder="Nowhere")


async def test_a_wrong_password_asks_for_a_new_sign_in(mailbox, run):
    for wrong in ("wrong1", "špatné1"):
        with pytest.raises(InvalidAccessTokenError) as caught:
            await run("email:get", {**mailbox.connection, "password": wrong})
        assert wrong not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"folder": "INBOX\r\na1 DELETE Sent"},
        {"subject": "x\r\na1 DELETE Sent"},
        {"subject": "č\na1 DELETE Sent"},
        {"from": "x\x00"},
    ],
)
async def test_T088_a_line_break_never_reaches_the_server(mailbox, run, given):
    with pytest.raises(BundleValidationError):
        await run("email:get", mailbox.connection, **given)


async def test_T079_starttls_needs_a_certificate_for_the_name(pymap, run):
    assert await run("email:get", pymap) == []
    with pytest.raises(ConnectionFailure, match="certificate"):
        await run("email:get", {**pymap, "host": "other.example.test"})
    with pytest.raises(ConnectionFailure, match="certificate"):
        await run("email:get", {**pymap, "ca": ""})


async def test_T079_a_server_that_stops_offering_encryption_gets_no_password(practice, run):
    connection = {"host": "h", "port": practice.imap_port, "user": "u", "password": "p"}
    with pytest.raises(InvalidConfigurationError, match="does not offer STARTTLS"):
        await run("email:get", {**connection, "security": "starttls"})
    with pytest.raises(ConnectionFailure, match="check port and encryption"):
        await run("email:get", connection)


async def test_T075_a_private_address_is_not_called(run):
    connection = {"host": "127.0.0.1", "port": 993, "user": "u", "password": "p"}
    with pytest.raises(InvalidConfigurationError, match="may not be called"):
        await run("email:get", connection, dialer=GuardedDialer())


async def serve(handle):
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fields = {"host": "h", "port": port, "security": "none", "user": "u", "password": "p"}
    return server, fields


async def test_a_server_that_breaks_off_can_be_tried_again(run):
    async def rude(reader, writer):
        writer.write(b"* OK hi\r\n")
        await reader.readline()
        writer.close()

    server, fields = await serve(rude)
    with pytest.raises(ConnectionFailure):
        await run("email:get", fields)
    server.close()


async def test_a_server_that_is_silent_does_not_hold_a_module_for_ever(run):
    writers = []

    async def silent(reader, writer):
        writers.append(writer)

    server, fields = await serve(silent)
    with pytest.raises(ModuleTimeoutError):
        await run("email:get", fields, timeout_seconds=0.2)
    for writer in writers:
        writer.close()
    server.close()


async def test_a_server_that_announces_a_huge_message_is_not_believed(run):
    async def huge(reader, writer):
        writer.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n")
        while line := await reader.readline():
            tag, name, *_ = line.split()
            if name == b"AUTHENTICATE":
                writer.write(b"+ \r\n")
                await reader.readline()
            elif b"SEARCH" in line:
                writer.write(b"* SEARCH 1\r\n")
            elif b"RFC822.SIZE" in line:
                facts = b'UID 1 RFC822.SIZE 9 FLAGS () INTERNALDATE " 1-Jan-2026 10:00:00 +0000"'
                writer.write(b"* 1 FETCH (" + facts + b")\r\n")
            elif b"BODY" in line:
                writer.write(b"* 1 FETCH (UID 1 BODY[] {9000000000}\r\n")
                continue
            elif name == b"CAPABILITY":
                writer.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
            writer.write(tag + b" OK done\r\n")
        writer.close()

    server, fields = await serve(huge)
    with pytest.raises(ConnectionFailure):
        await run("email:get", fields)
    server.close()
    await server.wait_closed()


async def test_the_test_of_a_connection_signs_in(mailbox, run):
    await run.function("email", "mailbox.check", mailbox.connection)
    wrong = {**mailbox.connection, "password": "wrong"}
    with pytest.raises(InvalidAccessTokenError):
        await run.function("email", "mailbox.check", wrong)
