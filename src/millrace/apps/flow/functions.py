"""The one module of flow control that computes something."""

from __future__ import annotations

from millrace.appkit import Answer, Call


def aggregate(call: Call) -> Answer:
    """The gathered fields as an array, in order of arrival."""
    items = [bundle.get("fields") or {} for bundle in call.bundles]
    return {"array": items, "__IMTAGGLENGTH__": len(items)}
