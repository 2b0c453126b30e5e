"""Well-known remote MCP servers with OAuth, so that `amberlight add notion` needs no address. Data and look-up only."""
