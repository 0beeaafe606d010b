"""A practice service: a small shop and a mail server to build and test scenarios against.

It stands by itself, keeps everything in memory, never calls out, and misbehaves on demand.
``start()`` runs it on ports of its own; ``create_app()`` gives the web part alone, to be mounted.
"""

from __future__ import annotations

from millrace.practice.app import create_app
from millrace.practice.server import Practice, start

__all__ = ["Practice", "create_app", "start"]
