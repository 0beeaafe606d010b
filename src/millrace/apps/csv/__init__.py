"""The CSV app; the catalog finds it by its folder."""
