"""The Tools app; the catalog finds it by its folder."""
