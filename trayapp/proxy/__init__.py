"""The token-injecting proxy, and the one MCP endpoint over all workloads."""
