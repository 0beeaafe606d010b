"""Received messages, also broken ones."""

from datetime import UTC, datetime

import pytest

from millrace.appkit.memory import MemoryFiles
from millrace.apps.email.message import MAX_ATTACHMENTS, read_message


def read(raw, **options):
    text = raw if isinstance(raw, bytes) else raw.replace("\n", "\r\n").encode()
    files = MemoryFiles()
    return read_message(text, files=files, **options), files


def test_a_simple_message():
    got, _ = read(
        'From: Ada <ada@example.com>\nTo: bob@example.com, "Lind, C." <c@example.com>\n'
        "Subject: Hi\nDate: Thu, 1 Jan 2026 10:00:00 +0100\nMessage-ID: <a1@x>\n"
        "References: <a0@x>\n <b0@x>\nImportance: high\n\nHello\n"
    )
    assert got["from"] == {"address": "ada@example.com", "name": "Ada"}
    assert got["to"] == [
        {"address": "bob@example.com", "name": ""},
        {"address": "c@example.com", "name": "Lind, C."},
    ]
    assert (got["subject"], got["text"], got["html"]) == ("Hi", "Hello\n", None)
    assert got["date"] == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert (got["messageId"], got["references"]) == ("<a1@x>", ["<a0@x>", "<b0@x>"])
    assert (got["priority"], got["attachments"], got["isWhole"]) == ("high", [], True)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"Subject: =?utf-8?q?=C3=9A=C4=8Det?=", "Účet"),
        (b"Subject: =?iso-8859-2?Q?=DA=E8et?= =?utf-8?B?IMSNLiA3?=", "Účet č. 7"),
        (b"Subject: =?no-such-charset?q?a=C4=8D?=", "ač"),
        (b"Subject: =?utf-8?b?!!!?=", None),
        (b"Subject: \xc3\x9a\xc4\x8det", "Účet"),
        (b"Subject: \xda\xe8et", None),
        (b"Subject: one\r\n two", "one two"),
        (b"Subject:", ""),
        (b"X-Other: x", None),
    ],
)
def test_headers_in_every_encoding_and_in_none(header, text):
    got, _ = read(header + b"\r\n\r\nHello")
    assert got["text"] == "Hello"
    if text is not None:
        assert got["subject"] == text


@pytest.mark.parametrize(
    "date", ["tomorrow", "Thu, 99 Jan 2026 10:00:00", "Thu, 1 Jan 99999 10:00:00 +9999", ""]
)
def test_a_date_that_is_none_gives_none(date):
    got, _ = read(f"Date: {date}\nSubject: Hi\n\nHello")
    assert (got["date"], got["subject"]) == (None, "Hi")


def test_text_html_and_attachments_are_told_apart():
    got, files = read(
        "Content-Type: multipart/mixed; boundary=a\n\n"
        "--a\nContent-Type: multipart/alternative; boundary=b\n\n"
        "--b\nContent-Type: text/plain; charset=iso-8859-2\nContent-Transfer-Encoding: base64\n\n"
        "2uhldA==\n"
        "--b\nContent-Type: text/html; charset=utf-8\n\n<b>Hi</b>\n--b--\n"
        "--a\nContent-Type: text/plain\nContent-Disposition: attachment; filename=../../etc/x.txt\n"
        "\nnote\n"
        "--a\nContent-Type: application/pdf; name*=utf-8''%C3%BA%C4%8Det.pdf\n\n%PDF\n"
        "--a\nContent-Type: image/png\nContent-ID: <logo>\n\nPNG\n"
        "--a\nContent-Type: message/rfc822\n\nSubject: inner\n\nforwarded\n"
        "--a--\n"
    )
    assert (got["text"], got["html"]) == ("Účet", "<b>Hi</b>")
    assert [each["fileName"] for each in got["attachments"]] == [
        "_.._etc_x.txt",
        "účet.pdf",
        "attachment-3",
        "attachment-4.eml",
    ]
    assert got["attachments"][2]["cid"] == "logo"
    assert files.read(got["attachments"][0]["data"]) == b"note"
    assert b"forwarded" in files.read(got["attachments"][3]["data"])


def test_a_header_that_comes_several_times_is_an_array():
    got, _ = read("Received: a\nReceived: b\nX-One: 1\n\nHello")
    assert got["headers"] == {"received": ["a", "b"], "x-one": "1"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"no header at all",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a\r\n--a--",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain",
        b"Content-Type: text/plain; charset=\xff\xfe\r\n\r\nx",
        b"Content-Type: text/plain; charset=base64\r\n\r\nx",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!=",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==",
        b"Content-Type: message/external-body; access-type=x\r\n\r\nA: b\r\n\r\n",
        b'From: =?utf-8?q?=FF?= <\xff@\xff>, , <>, @@, "\r\n\r\nx',
        b"To: undisclosed-recipients:;\r\nCc: a@b <c@d\r\n\r\nx",
        b"References: <<<<>>>> <a b>\r\nMessage-ID: [][]\r\n\r\nx",
        b"Content-Disposition: attachment; filename*=x''%FF; filename*0=a\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary*=x''a; boundary*0=a\r\n\r\n--a\r\n\r\nhi",
        b'Content-Type: text/plain; charset="utf\x00-8"\r\n\r\nx',
        b"\x00\x01\x02: \xff\r\n\r\n\x00",
    ],
)
def test_nothing_that_comes_by_mail_stops_the_reader(raw):
    got, _ = read(raw)
    assert isinstance(got["headers"], dict)


def test_parts_nested_without_end_leave_the_headers():
    depth = 3_000
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(depth)
    )
    got, _ = read(b"Subject: Deep\r\n" + opened)
    assert got["subject"] == "Deep"


def test_attachments_beyond_the_limit_are_left_out():
    part = b"--a\r\nContent-Type: application/pdf\r\n\r\nx\r\n"
    got, _ = read(
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + part * (MAX_ATTACHMENTS + 5)
    )
    assert len(got["attachments"]) == MAX_ATTACHMENTS


def test_a_message_that_was_cut_off_has_no_attachments():
    got, _ = read(
        "Subject: Big\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\nHello\n"
        "--a\nContent-Type: application/pdf\n\n%PDF-half",
        is_whole=False,
    )
    assert (got["subject"], got["text"], got["isWhole"]) == ("Big", "Hello", False)
    assert got["attachments"] == []


def test_a_message_that_cannot_be_taken_apart_is_kept_whole():
    raw = b"Subject: Hi\r\nContent-Type: multipart/mixed; boundary*=x''a; boundary*0=a\r\n\r\n--a"
    got, files = read(raw)
    assert got["subject"] == "Hi"
    assert files.read(got["attachments"][0]["data"]) == raw
