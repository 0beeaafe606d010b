"""The Encryptor app; the catalog finds it by its folder."""
