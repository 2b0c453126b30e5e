"""The system's keyring: two slots a login, in one thread, every failure by name."""
