"""email:send against a real SMTP server."""

import asyncio
from email import message_from_bytes, policy

import pytest

from millrace.appkit.guard import GuardedDialer
from millrace.errors import (
    BundleValidationError,
    ConnectionFailure,
    DataError,
    InvalidAccessTokenError,
    InvalidConfigurationError,
    OutcomeUnknownError,
)


def parsed(envelope):
    return message_from_bytes(envelope.content, policy=policy.default)


async def test_everything_that_was_filled_in_arrives(smtp, run):
    connection, inbox = await smtp()
    bill = run.files.keep(b"%PDF", name="účet.pdf", media_type="application/pdf")
    answer = await run(
        "email:send",
        connection,
        to=["Ada Nováková <ada@example.com>", {"address": "bob@example.com", "name": "Bob"}],
        cc=["cora@example.com, dan@example.com"],
        bcc=["secret@example.com"],
        subject="Objednávka č. 7 — přijata",
        text="Dobrý den\n.\nřádek",
        html="<p>Dobrý den</p>",
        reply_to=["shop@example.com"],
        in_reply_to="a1@example.com",
        references=["<a0@example.com>", "a1@example.com"],
        priority="high",
        headers=[{"key": "X-Order", "value": "7"}],
        attachments=[{"data": bill}, {"fileName": "note.txt", "data": "čau"}],
    )
    envelope = inbox.envelopes[0]
    message = parsed(envelope)
    assert envelope.mail_from == "ada@example.com"
    assert envelope.rcpt_tos == answer["accepted"]
    assert [box.split("@")[0] for box in envelope.rcpt_tos] == [
        "ada",
        "bob",
        "cora",
        "dan",
        "secret",
    ]
    assert message["To"] == "Ada Nováková <ada@example.com>, Bob <bob@example.com>"
    assert message["Cc"] == "cora@example.com, dan@example.com"
    assert "Bcc" not in message and b"secret@" not in envelope.content
    assert message["Subject"] == "Objednávka č. 7 — přijata"
    assert message["Message-ID"] == answer["messageId"]
    assert message["Date"] == "Fri, 02 Jan 2026 03:04:05 +0000"
    assert message["Reply-To"] == "shop@example.com"
    assert message["In-Reply-To"] == "<a1@example.com>"
    assert message["References"] == "<a0@example.com> <a1@example.com>"
    assert (message["X-Priority"], message["X-Order"]) == ("1", "7")
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    assert [body.get_content() for body in bodies if body] == [
        "Dobrý den\r\n.\r\nřádek\r\n",
        "<p>Dobrý den</p>\r\n",
    ]
    files = [(part.get_filename(), part.get_content_type()) for part in message.iter_attachments()]
    assert files == [("účet.pdf", "application/pdf"), ("note.txt", "text/plain")]
    assert next(message.iter_attachments()).get_content() == b"%PDF"
    assert answer["response"] == "OK, queued as 7"


async def test_a_picture_travels_with_the_page_that_shows_it(smtp, run):
    connection, inbox = await smtp()
    logo = run.files.keep(b"\x89PNG", name="logo.png", media_type="image/png")
    await run(
        "email:send",
        connection,
        to=["bob@example.com"],
        html='<img src="cid:logo">',
        attachments=[{"data": logo, "cid": "logo"}],
    )
    message = parsed(inbox.envelopes[0])
    assert message.get_content_type() == "multipart/related"
    assert [part["Content-ID"] for part in message.iter_parts()] == [None, "<logo>"]


async def test_texts_and_pictures_become_a_page(smtp, run):
    connection, inbox = await smtp()
    logo = run.files.keep(b"\x89PNG", name="logo.png", media_type="image/png")
    contents = [
        {"text": "Hello <Ada>,\nhow are you?", "image": {}},
        {"text": "See:", "image": {"data": logo, "filename": "our.png", "width": 40}},
    ]
    await run("email:send", connection, to=["bob@example.com"], contents=contents)
    page, picture = parsed(inbox.envelopes[0]).iter_parts()
    assert page.get_content().splitlines() == [
        "<div>Hello &lt;Ada&gt;,<br>how are you?</div>",
        "<div>See:</div>",
        '<div><img src="cid:picture-1" alt="" width="40"></div>',
    ]
    assert (picture["Content-ID"], picture.get_filename()) == ("<picture-1>", "our.png")


@pytest.mark.parametrize(
    ("content_type", "kind", "content"),
    [("text", "text/plain", "T\r\n"), ("html", "text/html", "H\r\n")],
)
async def test_a_chosen_content_type_leaves_the_other_out(smtp, run, content_type, kind, content):
    connection, inbox = await smtp()
    given = {"to": ["b@example.com"], "text": "T", "html": "H", "content_type": content_type}
    await run("email:send", connection, **given)
    message = parsed(inbox.envelopes[0])
    assert (message.get_content_type(), message.get_content()) == (kind, content)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_encryption_is_checked_against_the_name_of_the_server(smtp, run, security):
    connection, inbox = await smtp(security)
    await run("email:send", connection, to=["bob@example.com"], subject="Hi")
    assert parsed(inbox.envelopes[0])["Subject"] == "Hi"


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_T079_a_certificate_for_another_name_is_refused(smtp, run, security):
    connection, inbox = await smtp(security, host="other.example.test")
    with pytest.raises(ConnectionFailure, match="certificate is not accepted"):
        await run("email:send", connection, to=["bob@example.com"])
    assert inbox.envelopes == []


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_T079_a_certificate_by_an_unknown_authority_is_refused(smtp, run, security):
    connection, _ = await smtp(security)
    with pytest.raises(ConnectionFailure, match="certificate is not accepted"):
        await run("email:send", {**connection, "ca": ""}, to=["bob@example.com"])


async def test_T079_a_server_that_stops_offering_encryption_gets_nothing(smtp, run):
    connection, inbox = await smtp("none")
    with pytest.raises(InvalidConfigurationError, match="does not offer STARTTLS"):
        await run("email:send", {**connection, "security": "starttls"}, to=["b@example.com"])
    assert inbox.envelopes == []


async def test_the_wrong_encryption_says_what_to_check(smtp, run):
    connection, _ = await smtp("none")
    with pytest.raises(ConnectionFailure, match="check port and encryption"):
        await run("email:send", {**connection, "security": "tls"}, to=["b@example.com"])


async def test_a_wrong_password_asks_for_a_new_sign_in(smtp, run):
    connection, _ = await smtp("starttls")
    with pytest.raises(InvalidAccessTokenError) as caught:
        await run("email:send", {**connection, "password": "wrong1"}, to=["b@example.com"])
    assert "wrong1" not in str(caught.value)


async def test_a_refused_recipient_means_that_nobody_gets_it(smtp, run):
    connection, inbox = await smtp()
    with pytest.raises(DataError, match="recipient 2 of 2; nothing was sent") as caught:
        await run("email:send", connection, to=["bob@example.com", "refused@example.com"])
    assert caught.value.detail["code"] == 550
    assert "@" not in str(caught.value)
    assert inbox.envelopes == []


async def test_a_server_that_puts_off_is_asked_again_later(smtp, run):
    connection, _ = await smtp()
    with pytest.raises(ConnectionFailure) as caught:
        await run("email:send", connection, to=["later@example.com"])
    assert caught.value.detail["sent"] is False


async def test_a_message_beyond_the_limit_of_the_server_is_not_even_offered(smtp, run):
    connection, inbox = await smtp(data_size_limit=2000)
    with pytest.raises(DataError, match="the server takes 2,000"):
        await run("email:send", connection, to=["b@example.com"], text="x" * 3000)
    assert inbox.envelopes == []


async def test_a_server_that_is_not_there_can_be_tried_again(run):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    connection = {"host": "mail.example.test", "port": port, "security": "none", "from": "a@b.cz"}
    with pytest.raises(ConnectionFailure, match="cannot be reached") as caught:
        await run("email:send", connection, to=["b@example.com"])
    assert caught.value.detail["sent"] is False


async def test_a_server_that_breaks_off_after_the_message_leaves_the_outcome_unknown(practice, run):
    connection = {"host": "practice", "port": practice.smtp_port, "security": "none"}
    connection |= {"user": "practice", "password": "practice", "from": "a@example.com"}
    with pytest.raises(OutcomeUnknownError):
        await run("email:send", connection, to=["lost@example.com"])
    assert len(practice.mail.summaries()) == 1


async def test_what_happens_after_the_answer_does_not_count(run):
    async def rude(reader, writer):
        writer.write(b"220 hi\r\n")
        for answer in (b"250 hi", b"250 ok", b"250 ok", b"354 go", b"250 sent"):
            await (reader.readuntil(b"\r\n.\r\n") if b"sent" in answer else reader.readline())
            writer.write(answer + b"\r\n")
        writer.close()

    server = await asyncio.start_server(rude, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = {"host": "h", "port": port, "security": "none", "from": "a@example.com"}
    assert (await run("email:send", connection, to=["b@example.com"]))["response"] == "sent"
    server.close()
    await server.wait_closed()


async def test_the_same_operation_repeated_is_the_same_message(smtp, run):
    connection, inbox = await smtp()
    for key in ("e1/2/1", "e1/2/1", "e1/2/2"):
        await run("email:send", connection, key=key, to=["b@example.com"])
    first, again, other = [parsed(envelope)["Message-ID"] for envelope in inbox.envelopes]
    assert first == again != other


async def test_letters_outside_ascii_travel_in_addresses(smtp, run):
    connection, inbox = await smtp()
    await run("email:send", connection, to=["žofie@háčky.example"])
    assert inbox.envelopes[0].rcpt_tos == ["žofie@xn--hky-ela4t.example"]


async def test_a_copy_can_be_kept_in_the_sent_folder(practice, run):
    connection = {"host": "h", "port": practice.smtp_port, "security": "none", "user": "practice"}
    connection |= {"password": "practice", "from": "a@example.com", "imap_host": "h"}
    connection |= {"imap_port": practice.imap_port, "imap_security": "none"}
    given = {"to": ["b@example.com"], "subject": "Hi", "save_after_sent": True}
    await run("email:send", connection, **given)
    kept = practice.mail.folder("Sent").letters[0]
    assert b"Subject: Hi" in kept.raw and kept.flags == {"\\Seen"}


async def test_a_copy_that_cannot_be_kept_is_no_error(practice, run, caplog):
    caplog.set_level("WARNING", logger="test")
    connection = {"host": "h", "port": practice.smtp_port, "security": "none", "user": "practice"}
    connection |= {"password": "practice", "from": "a@example.com"}
    await run("email:send", connection, to=["b@example.com"], save_after_sent=True)
    assert len(practice.mail.summaries()) == 1
    assert "a sent message was not kept" in caplog.text


async def test_T075_a_private_address_is_not_called(run):
    connection = {"host": "127.0.0.1", "port": 25, "security": "none", "from": "a@example.com"}
    with pytest.raises(InvalidConfigurationError, match="may not be called"):
        await run("email:send", connection, dialer=GuardedDialer(), to=["b@example.com"])


@pytest.mark.parametrize(
    "given",
    [
        {"to": ["a@example.com\r\nBcc: x@example.com"]},
        {"to": ["a@example.com>\r\nRCPT TO:<x@example.com"]},
        {"to": [{"address": "a@example.com", "name": "A\nBcc: x@example.com"}]},
        {"to": ["a@example.com"], "subject": "Hi\r\nBcc: x@example.com"},
        {"to": ["a@example.com"], "subject": "Hi\u2028Bcc: x@example.com"},
        {"to": ["a@example.com"], "in_reply_to": "a\nb"},
        {"to": ["a@example.com"], "references": ["a\rb"]},
        {"to": ["a@example.com"], "headers": [{"key": "X-A", "value": "a\nBcc: b"}]},
        {"to": ["a@example.com"], "headers": [{"key": "X-A: b\nBcc", "value": "c"}]},
        {"to": ["a@example.com"], "headers": [{"key": "Bcc", "value": "c@example.com"}]},
        {"to": ["a@example.com"], "headers": [{"key": "Content-Type", "value": "x/y"}]},
        {"to": ["a@example.com"], "attachments": [{"fileName": "a\nb", "data": "x"}]},
        {"to": ["a@example.com"], "attachments": [{"fileName": "a"}]},
        {"to": ["not an address"]},
        {"to": ["a@@example.com"]},
        {"to": []},
        {"to": ["a@example.com"], "from": "a@example.com, b@example.com"},
    ],
)
async def test_T086_what_does_not_belong_into_a_header_is_refused(smtp, run, given):
    connection, inbox = await smtp()
    with pytest.raises(BundleValidationError) as caught:
        await run("email:send", connection, **given)
    assert "x@example.com" not in str(caught.value)
    assert inbox.envelopes == []


async def test_the_test_of_a_connection_signs_in(smtp, run):
    connection, _ = await smtp("starttls")
    await run.function("email", "sending.check", connection)
    with pytest.raises(InvalidAccessTokenError):
        await run.function("email", "sending.check", {**connection, "password": "wrong"})
