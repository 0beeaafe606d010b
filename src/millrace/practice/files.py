"""Things to download: a feed, a picture, an archive, a table."""

from __future__ import annotations

import csv
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

NAMES = ("image.png", "products.csv", "products.zip", "hello.txt")


def feed(products: Sequence[dict[str, Any]], *, base_url: str, now: datetime) -> bytes:
    """An RSS 2.0 feed with one item for each product, the newest first, an hour apart."""
    newest = now.replace(minute=0, second=0, microsecond=0)
    items = []
    for number, product in enumerate(products):
        link = escape(f"{base_url}/shop/products/{product['sku']}")
        items.append(
            f"<item><title>{escape(product['name'])}</title><link>{link}</link>"
            f"<guid>{link}</guid><category>shop</category>"
            f"<description>{escape(product['name'])} for {product['price']}</description>"
            f"<pubDate>{format_datetime(newest - timedelta(hours=number))}</pubDate></item>"
        )
    head = f"<title>Practice shop</title><link>{escape(base_url)}</link><description/>"
    body = "".join(items)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>{head}{body}'
        "</channel></rss>"
    ).encode()


def file(name: str, products: Sequence[dict[str, Any]]) -> tuple[bytes, str] | None:
    """Content and media type of a file; None when there is none of that name."""
    match name:
        case "image.png":
            return _png(64, 48), "image/png"
        case "products.csv":
            return _csv(products), "text/csv"
        case "products.zip":
            return _zip(products), "application/zip"
        case "hello.txt":
            return b"Hello from the practice service.\n", "text/plain; charset=utf-8"
    return None


def _csv(products: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=["sku", "name", "price", "stock"])
    writer.writeheader()
    writer.writerows(products)
    return text.getvalue().encode()


def _zip(products: Sequence[dict[str, Any]]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        # A fixed date, so that the same products give the same bytes.
        for name, data in (("products.csv", _csv(products)), ("image.png", _png(64, 48))):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return content.getvalue()


def _png(width: int, height: int) -> bytes:
    """A small gradient, written by hand: the format needs no library."""
    rows = b"".join(
        b"\0" + bytes(v for x in range(width) for v in (x * 255 // width, y * 255 // height, 160))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
