"""A page made of texts and pictures, for people who do not write HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any


def page_of(contents: Iterable[Any]) -> tuple[str, list[dict[str, Any]]]:
    """The HTML of a list of blocks, and the attachments for their pictures.

    Args:
        contents: Collections with ``text``, ``image`` (``data``, ``filename``, ``width``,
            ``height``) or both; the text comes first. A text is shown as it is, line by line.
    """
    parts: list[str] = []
    pictures: list[dict[str, Any]] = []
    for block in contents:
        given = block if isinstance(block, Mapping) else {"text": block}
        if text := given.get("text"):
            lines = str(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
            parts.append(f"<div>{'<br>'.join(map(escape, lines))}</div>")
        image = given.get("image")
        if isinstance(image, Mapping) and image.get("data"):
            cid = f"picture-{len(pictures) + 1}"
            pictures.append({**image, "cid": cid})
            size = "".join(
                f' {side}="{int(image[side])}"' for side in ("width", "height") if image.get(side)
            )
            parts.append(f'<div><img src="cid:{cid}" alt=""{size}></div>')
    return "\n".join(parts), pictures
