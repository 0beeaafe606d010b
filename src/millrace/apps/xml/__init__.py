"""The XML app; the catalog finds it by its folder."""
