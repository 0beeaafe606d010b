"""The JSON app; the catalog finds it by its folder."""
