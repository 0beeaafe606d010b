"""The Markdown app; the catalog finds it by its folder."""
