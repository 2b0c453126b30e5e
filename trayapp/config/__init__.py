"""Configuration: the table of settings, loading and editing config.toml, and the paths of all files."""
