"""Make the message that the parameters of a module describe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

from millrace.appkit import Binary, Call
from millrace.apps.email.addresses import Mailbox, mailboxes, single_line
from millrace.apps.email.blocks import page_of
from millrace.errors import BundleValidationError, DataError

MAX_ATTACHMENTS_BYTES = 50 * 1024 * 1024
"""All attachments of one message. Large providers take 20 to 50 MB as sent; the server's own limit,
when it names one, is checked before anything is sent."""

_OURS = frozenset(
    {
        *("from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "mime-version"),
        *("message-id", "in-reply-to", "references", "received", "return-path"),
    }
)
"""Headers that only the module sets; those that start with ``content-`` too."""

_PRIORITIES = {"high": ("1", "high"), "low": ("5", "low")}


class Composed:
    """A message and where it goes."""

    def __init__(self, message: EmailMessage, sender: Mailbox, recipients: list[Mailbox]) -> None:
        self.message = message
        self.sender = sender
        """The envelope's sender: the bounce address."""
        self.recipients = recipients
        """Each address once, blind copies included."""
        self.needs_smtputf8 = any(box.needs_smtputf8 for box in [sender, *recipients])

    @property
    def id(self) -> str:
        """The Message-ID, with its angle brackets."""
        return str(self.message["Message-ID"])

    def content(self) -> bytes:
        """The message as it travels: lines end in CRLF; all 7-bit unless an address needs more."""
        return self.message.as_bytes(policy=SMTPUTF8 if self.needs_smtputf8 else SMTP)


def compose(call: Call, *, needs_recipient: bool = True) -> Composed:
    """Build the message.

    Its Message-ID comes from the call's key, so that a repetition is the same message: many servers
    show a message that arrives twice only once.

    Raises:
        BundleValidationError: an address is wrong, there is nobody to send to, or a header would
            hold a line break.
        DataError: the attachments are too large.
    """
    given = call.parameters
    message = EmailMessage(policy=SMTP)
    sender = _sender(call)
    to, cc, bcc = (mailboxes(given.get(name), parameter=name) for name in ("to", "cc", "bcc"))
    if needs_recipient and not (to or cc or bcc):
        raise BundleValidationError("Email: there is nobody to send to. Fill in To, Cc or Bcc.")

    message["From"] = sender.header()
    envelope = sender
    if actual := mailboxes(given.get("sender"), parameter="sender"):
        envelope = actual[0]
        message["Sender"] = envelope.header()
    for name, boxes in (
        ("To", to),
        ("Cc", cc),
        ("Reply-To", mailboxes(given.get("reply_to"), parameter="reply_to")),
    ):
        if boxes:
            message[name] = [box.header() for box in boxes]
    message["Subject"] = single_line(given.get("subject"), parameter="subject")
    message["Date"] = format_datetime(call.now)
    message["Message-ID"] = _message_id(call, sender)
    _thread(message, given)
    if given.get("priority") in _PRIORITIES:
        message["X-Priority"], message["Importance"] = _PRIORITIES[given["priority"]]
    for header in given.get("headers") or ():
        _add_header(message, header)
    page, pictures = page_of(given.get("contents") or ())
    _fill(message, {**given, "html": given.get("html") or page} if page else given)
    _attach(message, call, [*pictures, *(given.get("attachments") or ())])

    seen = {box.address: box for box in [*to, *cc, *bcc]}
    return Composed(message, envelope, list(seen.values()))


def _sender(call: Call) -> Mailbox:
    connection = call.connection or {}
    user = str(connection.get("user") or "")
    given = call.parameters.get("from") or connection.get("from") or ("@" in user and user)
    boxes = mailboxes(given or None, parameter="from")
    if len(boxes) != 1:
        raise BundleValidationError(
            "Email: exactly one sender address is needed. Fill in From, or the sender address of"
            " the connection."
        )
    return boxes[0]


def _message_id(call: Call, sender: Mailbox) -> str:
    unique = sha256(call.key.encode()).hexdigest()[:32]
    domain = sender.address.rpartition("@")[2]
    return f"<{unique}@{domain}>"


def _thread(message: EmailMessage, given: Mapping[str, Any]) -> None:
    in_reply_to = single_line(given.get("in_reply_to"), parameter="in_reply_to")
    references = [
        _bracketed(single_line(each, parameter="references"))
        for each in given.get("references") or ()
        if each
    ]
    if in_reply_to:
        message["In-Reply-To"] = _bracketed(in_reply_to)
        if not references:
            references = [_bracketed(in_reply_to)]
    if references:
        message["References"] = " ".join(references)


def _bracketed(message_id: str) -> str:
    return f"<{message_id.strip().strip('<>')}>"


def _add_header(message: EmailMessage, header: Mapping[str, Any]) -> None:
    name = str(header.get("key") or header.get("name") or "").strip()
    value = single_line(header.get("value"), parameter="headers")
    # RFC 5322 2.2: printable ASCII without the colon.
    if not name or not all("!" <= letter <= "~" and letter != ":" for letter in name):
        raise BundleValidationError("Email: headers holds a name that a header cannot have.")
    if name.lower() in _OURS or name.lower().startswith("content-"):
        raise BundleValidationError(
            f"Email: the header {name} is set by the module; use its own parameter."
        )
    message[name] = value


def _fill(message: EmailMessage, given: Mapping[str, Any]) -> None:
    text, html = given.get("text"), given.get("html")
    # An export of Make may hold both, of which only the chosen one is meant.
    if given.get("content_type") == "text":
        html = None
    elif given.get("content_type") == "html":
        text, html = None, text if html is None else html
    if html is None:
        message.set_content(_lines(text or ""))
    elif text is None:
        message.set_content(_lines(html), subtype="html")
    else:
        message.set_content(_lines(text))
        message.add_alternative(_lines(html), subtype="html")


def _lines(text: Any) -> str:
    # Half a surrogate pair cannot be encoded; JSON lets it in.
    whole = str(text).encode("utf-8", "replace").decode()
    return whole.replace("\r\n", "\n").replace("\r", "\n")


def _attach(message: EmailMessage, call: Call, attachments: Iterable[Any]) -> None:
    size = 0
    for number, attachment in enumerate(attachments, 1):
        if not isinstance(attachment, Mapping):
            attachment = {"data": attachment}
        data = attachment.get("data")
        if data is None:
            raise BundleValidationError(f"Email: attachment {number} has no data.")
        size += data.size_bytes if isinstance(data, Binary) else len(data)
        if size > MAX_ATTACHMENTS_BYTES:
            raise DataError(
                "Email: the attachments are larger than"
                f" {MAX_ATTACHMENTS_BYTES // 1024 // 1024} MB together. Send fewer, or send links."
            )
        name, media_type, content = _content(call, attachment, data, number)
        main, _, sub = media_type.partition("/")
        if main in ("multipart", "message") or not sub:
            main, sub = "application", "octet-stream"
        cid = single_line(attachment.get("cid"), parameter=f"attachment {number}")
        page = message.get_body(("html",)) if cid else None
        if page is not None:
            # A picture that the page shows by its Content-ID travels with the page (RFC 2387).
            page.add_related(content, main, sub, filename=name, cid=_bracketed(cid))
        else:
            message.add_attachment(content, main, sub, filename=name)


def _content(
    call: Call, attachment: Mapping[str, Any], data: Any, number: int
) -> tuple[str, str, bytes]:
    name = attachment.get("fileName") or attachment.get("filename") or attachment.get("name")
    media_type = attachment.get("contentType")
    if isinstance(data, Binary):
        content = call.files.read(data)
        name, media_type = name or data.name, media_type or data.media_type
    elif isinstance(data, bytes):
        content = data
    else:
        content, media_type = str(data).encode(), media_type or "text/plain"
    name = single_line(name or f"attachment-{number}", parameter=f"attachment {number}")
    media_type = single_line(
        media_type or "application/octet-stream", parameter=f"attachment {number}"
    )
    return name, media_type.partition(";")[0].strip(), content
