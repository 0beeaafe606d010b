"""Sealing: bytes in, bytes out."""
