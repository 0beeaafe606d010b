"""The Text parser app; the catalog finds it by its folder."""
