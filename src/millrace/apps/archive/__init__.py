"""The Archive app; the catalog finds it by its folder."""
