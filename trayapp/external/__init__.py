"""Other programs that keep MCP servers signed in (ToolHive and others): watched, asked to act, never read for secrets."""
