"""Markdown as HTML."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from millrace.appkit import Answer, Call
from millrace.errors import DataError

LONGEST = 1_000_000
"""Characters; a megabyte takes seconds."""


def to_html(call: Call) -> Answer:
    """The text as HTML, harmless unless the user wants it otherwise."""
    given = call.parameters
    text = given.get("data") or ""
    if len(text) > LONGEST:
        raise DataError(f"the Markdown is longer than {LONGEST} characters")
    reader = _reader(given.get("gfm", True), given.get("breaks") is True)
    html = reader.render(text)
    return {"html": _harmless(html) if given.get("sanitize", True) else html}


@lru_cache(maxsize=4)
def _reader(is_github: bool, counts_breaks: bool) -> Any:
    from markdown_it import MarkdownIt

    options = {"html": True, "breaks": counts_breaks, "linkify": is_github}
    reader = MarkdownIt("gfm-like" if is_github else "commonmark", options)
    if is_github:
        from mdit_py_plugins.tasklists import tasklists_plugin

        reader.use(tasklists_plugin)
        # It looks back over all the text before each "://": 160 kB of addresses take minutes. The
        # rule of the same name that runs over finished texts finds the same links at once.
        reader.inline.ruler.disable("linkify")
    return reader


def _harmless(html: str) -> str:
    import nh3

    return nh3.clean(
        html,
        tags=nh3.ALLOWED_TAGS | {"input"},
        attributes={
            **nh3.ALLOWED_ATTRIBUTES,
            "input": {"checked", "disabled"},
            "code": {"class"},
            "td": nh3.ALLOWED_ATTRIBUTES["td"] | {"style"},
            "th": nh3.ALLOWED_ATTRIBUTES["th"] | {"style"},
        },
        # The boxes of task lists; nothing else that a form could be made of.
        set_tag_attribute_values={"input": {"type": "checkbox"}},
        filter_style_properties={"text-align"},
        link_rel="noopener noreferrer nofollow",
    )
