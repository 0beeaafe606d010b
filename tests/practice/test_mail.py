"""SMTP in, IMAP out, spoken by the clients of the standard library."""

import asyncio
import imaplib
import smtplib
from email.message import EmailMessage

import pytest


def letter(subject="Hello", to="ada@example.com", body="How are you?"):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "bob@example.com", to, subject
    message.set_content(body)
    return message


async def send(practice, *letters, **options):
    def run():
        with smtplib.SMTP(practice.host, practice.smtp_port, timeout=5) as client:
            client.login("practice", "practice")
            for one in letters:
                client.send_message(one, **options)

    await asyncio.to_thread(run)


async def imap(practice, run):
    """Run a function with a signed-in IMAP client, in a thread."""

    def session():
        with imaplib.IMAP4(practice.host, practice.imap_port, timeout=5) as client:
            client.login("practice", "practice")
            return run(client)

    return await asyncio.to_thread(session)


async def test_what_is_sent_appears_in_the_inbox(practice):
    await send(practice, letter(body="One.\n.\nTwo"))

    def read(client):
        assert client.select()[1] == [b"1"]
        uids = client.uid("SEARCH", "UNSEEN")[1][0].split()
        raw = client.uid("FETCH", uids[0], "(RFC822)")[1][0][1]
        return raw, client.uid("SEARCH", "UNSEEN")[1]

    raw, unseen = await imap(practice, read)
    assert b"Subject: Hello" in raw
    assert b"\r\nOne.\r\n.\r\nTwo\r\n" in raw
    assert unseen == [b""]
    assert practice.mail.summaries()[0]["is_read"]


async def test_peeking_and_examining_do_not_mark_as_read(practice):
    await send(practice, letter())

    def read(client):
        client.select()
        client.uid("FETCH", "1", "(BODY.PEEK[])")
        client.select(readonly=True)
        client.uid("FETCH", "1", "(RFC822)")
        return client.uid("SEARCH", "UNSEEN")[1]

    assert await imap(practice, read) == [b"1"]


async def test_parts_of_a_message_can_be_fetched(practice):
    await send(practice, letter(body="0123456789"))

    def read(client):
        client.select()
        ask = "(BODY.PEEK[HEADER.FIELDS (SUBJECT TO)] BODY.PEEK[TEXT]<2.4> ENVELOPE)"
        return client.uid("FETCH", "1", ask)[1]

    data = await imap(practice, read)
    joined = b"".join(b"".join(each) if isinstance(each, tuple) else each for each in data)
    assert b"To: ada@example.com\r\nSubject: Hello\r\n\r\n" in joined
    assert b"BODY[TEXT]<2> {4}2345" in joined
    assert b'(NIL NIL "bob" "example.com")' in joined


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        (["ALL"], b"1 2 3"),
        (["SUBJECT", '"invoice"'], b"2"),
        (["FROM", '"BOB@"', "NOT", "SUBJECT", "invoice"], b"1 3"),
        (["OR", "SUBJECT", "invoice", "TO", "cora"], b"2 3"),
        (["(SUBJECT", "Hello", "UID", "1:2)"], b"1"),
        (["TEXT", '"how are"'], b"1 2 3"),
        (["UID", "3:*"], b"3"),
        (["UID", "9:*"], b"3"),
        (["SINCE", "01-Jan-2020", "SMALLER", "100000"], b"1 2 3"),
        (["BEFORE", "01-Jan-2020"], b""),
        (["HEADER", "Subject", "voi"], b"2"),
        (["SEEN"], b""),
    ],
)
async def test_search_finds_what_is_asked(practice, criteria, found):
    await send(
        practice, letter(), letter("Your invoice"), letter("Hello again", "cora@example.com")
    )

    def search(client):
        client.select()
        return client.uid("SEARCH", *criteria)[1]

    assert await imap(practice, search) == [found]


async def test_search_takes_letters_of_every_language_as_a_literal(practice):
    await send(practice, letter("Objednávka č. 7"), letter())

    def search(client):
        client.select()
        client.literal = "OBJEDNÁVKA Č.".encode()
        return client.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT")[1]

    assert await imap(practice, search) == [b"1"]


async def test_flags_copies_moves_and_expunges(practice):
    await send(practice, letter("one"), letter("two"), letter("three"))

    def tidy(client):
        client.select()
        client.uid("STORE", "1", "+FLAGS", "(\\Seen)")
        client.uid("COPY", "1", "Archive")
        assert client.uid("MOVE", "2", '"Trash"')[0] == "OK"
        client.uid("STORE", "1,3", "+FLAGS.SILENT", "(\\Deleted)")
        client.uid("EXPUNGE", "3")
        left = client.uid("SEARCH", "ALL")[1]
        assert client.uid("COPY", "1", "Nowhere")[0] == "NO"
        return left, client.status("Trash", "(MESSAGES UNSEEN)")[1]

    left, status = await imap(practice, tidy)
    assert left == [b"1"]
    assert status == [b'"Trash" (MESSAGES 1 UNSEEN 1)']
    assert [one.flags for one in practice.mail.folder("Archive").letters] == [{"\\Seen"}]


async def test_a_message_can_be_put_into_a_folder(practice):
    def put(client):
        told = client.append("Drafts", "(\\Draft)", '" 1-Feb-2026 10:00:00 +0100"', b"A: b\n\nc")
        client.create('"Old mail"')
        return told, client.list()[1]

    (status, told), folders = await imap(practice, put)
    assert status == "OK" and b"APPENDUID" in told[0]
    kept = practice.mail.folder("Drafts").letters[0]
    assert (kept.flags, kept.raw) == ({"\\Draft"}, b"A: b\r\n\r\nc")
    assert kept.received_at.isoformat() == "2026-02-01T09:00:00+00:00"
    assert b'(\\HasNoChildren \\Drafts) "/" "Drafts"' in folders
    assert any(b'"Old mail"' in folder for folder in folders)


async def test_a_client_learns_of_new_mail_and_of_mail_that_others_removed(practice):
    await send(practice, letter("one"))

    def watch(client):
        client.select()
        asyncio.run_coroutine_threadsafe(send(practice, letter("two")), loop).result(5)
        client.noop()
        new = client.untagged_responses.get("EXISTS")
        del practice.mail.folder("INBOX").letters[0]
        client.noop()
        return new, client.untagged_responses.get("EXPUNGE")

    loop = asyncio.get_running_loop()
    new, gone = await imap(practice, watch)
    assert new[-1] == b"2"
    assert gone == [b"1"]


async def test_the_wrong_password_opens_nothing(practice):
    def by_imap():
        client = imaplib.IMAP4(practice.host, practice.imap_port, timeout=5)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login("practice", "wrong")
        with pytest.raises(imaplib.IMAP4.error):
            client.authenticate("PLAIN", lambda _: b"\0practice\0wrong")
        client.shutdown()

    def by_smtp():
        with (
            smtplib.SMTP(practice.host, practice.smtp_port, timeout=5) as client,
            pytest.raises(smtplib.SMTPAuthenticationError),
        ):
            client.login("practice", "wrong")

    await asyncio.to_thread(by_imap)
    await asyncio.to_thread(by_smtp)


@pytest.mark.parametrize(("local", "code"), [("refused", 550), ("later", 450), ("full", 552)])
async def test_some_recipients_misbehave(practice, local, code):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        await send(practice, letter(to=f"{local}@example.com"))
    assert caught.value.recipients[f"{local}@example.com"][0] == code
    assert practice.mail.summaries() == []


async def test_an_answer_can_get_lost_after_delivery(practice):
    with pytest.raises(smtplib.SMTPServerDisconnected):
        await send(practice, letter(to="lost@example.com"))
    assert len(practice.mail.summaries()) == 1


async def test_nonsense_is_answered_and_the_session_goes_on(practice):
    reader, writer = await asyncio.open_connection(practice.host, practice.imap_port)
    await reader.readline()
    for line, answer in [
        (b"a1 FLY\r\n", b"a1 BAD"),
        (b"a2 FETCH 1 FLAGS\r\n", b"a2 NO"),
        (b"a3 LOGIN (a b)\r\n", b"a3 BAD"),
        (b"\r\n", b"* BAD"),
        (b"a4 LOGIN practice {8+}\r\npractice\r\n", b"a4 OK"),
        (b"a5 STATUS INBOX (COLOUR)\r\n", b"a5 BAD"),
        (b"a6 LIST (((\r\n", b"a6 BAD"),
    ]:
        writer.write(line)
        assert (await reader.readline()).startswith(answer)
    writer.close()
    await writer.wait_closed()
