"""The Image app; the catalog finds it by its folder."""
