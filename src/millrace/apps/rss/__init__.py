"""The RSS app: reads and watches feeds."""
