"""Real MCP clients against the running program: what their users see while a workload is amber, red or restarted."""
