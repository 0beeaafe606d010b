"""Handing work out: which events are carried out where, and when."""
