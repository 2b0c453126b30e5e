"""Authorization servers: who signs people in, how, and what the token endpoint says. Nothing is decided here."""
