"""E-mail addresses as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from email.utils import getaddresses
from typing import Any

from millrace.errors import BundleValidationError

# RFC 5321 4.5.3.1 limits the local part to 64 octets and a path to 256; what a local part may hold
# is left to the server that owns it.
_ADDRESS = re.compile(
    r"(?P<local>[^\s@<>()\[\],;:\\\"\x00-\x20\x7f]{1,64})@(?P<domain>[^\s@<>()\[\],;:\\\"]{1,255})"
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """One address with the name before it."""

    address: str
    """The domain is in its ASCII form."""

    name: str = ""

    @property
    def needs_smtputf8(self) -> bool:
        """True when the local part cannot be said without RFC 6531."""
        return not self.address.isascii()

    def header(self) -> Address:
        """For an address header of an ``EmailMessage``."""
        local, _, domain = self.address.rpartition("@")
        return Address(display_name=self.name, username=local, domain=domain)


def mailboxes(given: Any, *, parameter: str) -> list[Mailbox]:
    """The mailboxes that a parameter names.

    Args:
        given: A text (``Ada <ada@example.com>, bob@example.com``), a collection with ``address``
            and ``name``, an array of those, or nothing.
        parameter: For messages, which never show the address itself.

    Raises:
        BundleValidationError: something is not an address, or holds a line break.
    """
    found: list[Mailbox] = []
    for item in given if isinstance(given, list | tuple) else [given]:
        if isinstance(item, Mapping):
            address = item.get("address") or item.get("value") or item.get("email")
            if address:
                found.append(_mailbox(str(address), str(item.get("name") or ""), parameter))
        elif item is not None and str(item).strip():
            found += _split(str(item), parameter)
    return found


def single_line(text: Any, *, parameter: str) -> str:
    """The text, refused when it could end a header line early (T-086).

    Raises:
        BundleValidationError: it holds a line break or another control character.
    """
    # Half a surrogate pair cannot be encoded; JSON lets it in.
    line = "" if text is None else str(text).encode("utf-8", "replace").decode()
    if _CONTROL.search(line) or len(line.splitlines()) > 1:
        raise BundleValidationError(
            f"Email: {parameter} holds a line break or a control character, which a header may not."
        )
    return line


def _split(text: str, parameter: str) -> list[Mailbox]:
    single_line(text, parameter=parameter)
    # A semicolon separates addresses in Outlook and so in what people paste.
    parts = getaddresses([text if "," in text or ";" not in text else text.replace(";", ",")])
    return [_mailbox(address, name, parameter) for name, address in parts]


def _mailbox(address: str, name: str, parameter: str) -> Mailbox:
    single_line(name, parameter=parameter)
    match = _ADDRESS.fullmatch(address.strip())
    if match is None:
        raise BundleValidationError(
            f"Email: {parameter} holds something that is not an e-mail address."
            " Write name@example.com, or Name <name@example.com>."
        )
    return Mailbox(
        address=f"{match['local']}@{_ascii_domain(match['domain'], parameter)}", name=name
    )


def _ascii_domain(domain: str, parameter: str) -> str:
    try:
        return (
            domain.encode("ascii").decode() if domain.isascii() else domain.encode("idna").decode()
        )
    except UnicodeError as error:
        raise BundleValidationError(
            f"Email: {parameter} holds an address whose domain cannot exist."
        ) from error
