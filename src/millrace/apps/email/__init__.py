"""The Email app: sends by SMTP, reads mailboxes by IMAP."""
