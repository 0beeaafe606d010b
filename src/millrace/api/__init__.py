"""The HTTP API and the built-in pages."""
