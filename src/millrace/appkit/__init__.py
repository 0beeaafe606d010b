"""What an app is written against; with `errors`, the only package of ours that it may import."""

from __future__ import annotations

from millrace.appkit.call import Answer, Call
from millrace.expressions.values import Binary

__all__ = ["Answer", "Binary", "Call"]
