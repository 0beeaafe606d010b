"""Every figure that Millrace claims, and the command that takes it."""
