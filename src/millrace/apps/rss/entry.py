"""Make a bundle of one item of a feed."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urljoin

_KNOWN = frozenset(
    {
        *("title", "summary", "description", "content", "author", "author_detail", "authors"),
        *("link", "links", "id", "guidislink", "tags", "comments", "image", "source", "href"),
        *("published", "published_parsed", "updated", "updated_parsed", "enclosures"),
        *("created", "created_parsed", "expired", "expired_parsed", "subtitle", "contributors"),
    }
)
_NAMESPACES = {
    "google-merchant-center": ("googleMerchantCenter", "g_"),
    "itunes": ("itunes", "itunes_"),
}


def bundle(entry: Mapping[str, Any], *, base: str, include: Iterable[str] = ()) -> dict[str, Any]:
    """The bundle of an item as feedparser gives it.

    Args:
        entry: The item; its HTML is cleaned already.
        base: Address of the feed: what relative links are relative to. feedparser is not told, as
            it would take an id such as ``42`` for a relative link too.
        include: Namespaces that get a collection of their own: ``itunes``,
            ``google-merchant-center``.
    """
    contents = [each.get("value") for each in entry.get("content") or () if each.get("value")]
    summary = entry.get("summary") or None
    found = {
        "title": entry.get("title"),
        "description": contents[0] if contents else summary,
        "summary": summary,
        "author": entry.get("author"),
        "url": _absolute(base, entry.get("link")),
        "dateUpdated": _instant(entry, "updated_parsed"),
        "dateCreated": _instant(entry, "published_parsed") or _instant(entry, "created_parsed"),
        "comments": _absolute(base, entry.get("comments")),
        "image": _image(entry, base),
        "categories": [tag["term"] for tag in entry.get("tags") or () if tag.get("term")],
        "source": _source(entry, base),
        "enclosures": [_enclosure(each, base) for each in entry.get("enclosures") or ()],
        "id": entry.get("id") or entry.get("link"),
        "rssFields": {
            name: value
            for name, value in entry.items()
            if name not in _KNOWN and isinstance(value, str)
        },
    }
    for namespace in include:
        if namespace in _NAMESPACES:
            name, prefix = _NAMESPACES[namespace]
            found[name] = {
                key.removeprefix(prefix): value
                for key, value in entry.items()
                if key.startswith(prefix) and isinstance(value, str)
            }
    return found


def date_of(found: Mapping[str, Any]) -> datetime | None:
    """When an item came into the world, as far as the feed says."""
    return found["dateCreated"] or found["dateUpdated"]


def mark_of(found: Mapping[str, Any]) -> str:
    """A short text by which the item is known again, also when the feed gives no id."""
    name = found["id"] or f"{found['title']}\n{found['summary']}\n{date_of(found)}"
    return sha256(name.encode("utf-8", "replace")).hexdigest()[:16]


def _instant(entry: Mapping[str, Any], name: str) -> datetime | None:
    # feedparser answers "updated" with "published" when asked with get(); that is not meant here.
    parsed = entry[name] if name in entry.keys() else None  # noqa: SIM118
    if not parsed:
        return None
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _absolute(base: str, link: str | None) -> str | None:
    try:
        return urljoin(base, link) if link else None
    except ValueError:
        return link


def _image(entry: Mapping[str, Any], base: str) -> dict[str, Any] | None:
    image = entry.get("image")
    if isinstance(image, Mapping) and (image.get("href") or image.get("url")):
        return {
            "url": _absolute(base, image.get("href") or image.get("url")),
            "title": image.get("title"),
        }
    for kind in ("media_thumbnail", "media_content"):
        for media in entry.get(kind) or ():
            is_picture = kind == "media_thumbnail" or "image" in (
                media.get("medium") or "",
                (media.get("type") or "").partition("/")[0],
            )
            if is_picture and media.get("url"):
                return {"url": _absolute(base, media["url"]), "title": None}
    for enclosure in entry.get("enclosures") or ():
        if (enclosure.get("type") or "").startswith("image/") and enclosure.get("href"):
            return {"url": _absolute(base, enclosure["href"]), "title": None}
    return None


def _source(entry: Mapping[str, Any], base: str) -> dict[str, Any] | None:
    source = entry.get("source")
    if not isinstance(source, Mapping) or not source:
        return None
    return {
        "title": source.get("title"),
        "url": _absolute(base, source.get("href") or source.get("link")),
    }


def _enclosure(given: Mapping[str, Any], base: str) -> dict[str, Any]:
    length = str(given.get("length") or "")
    return {
        "url": _absolute(base, given.get("href")),
        "type": given.get("type"),
        "length": int(length) if length.isdecimal() and len(length) < 16 else None,
    }
