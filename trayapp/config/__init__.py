"""The configuration: the table of settings, reading and editing config.toml, and where files belong."""
