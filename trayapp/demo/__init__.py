"""A day in a minute: the demonstration that needs no account."""
