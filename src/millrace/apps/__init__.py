"""The apps that come with Millrace: one folder each, found by the catalog, imported by nobody."""
