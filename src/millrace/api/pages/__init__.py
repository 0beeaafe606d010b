"""The built-in pages: plain HTML, no script."""
