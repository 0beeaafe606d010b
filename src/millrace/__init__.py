"""Millrace: scenarios that connect applications; nothing lost, nothing repeated."""

__version__ = "0.1.0"
