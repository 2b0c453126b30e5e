"""OAuth against authorization servers: discovery, registration, sign-in, token requests. Nothing is decided here."""
