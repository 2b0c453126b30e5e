"""Logins in the system's keyring: two slots per login, one worker thread, every failure by name."""
