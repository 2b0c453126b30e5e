"""The MCP protocol for both endpoints, `/w/NAME` and `/mcp`: revisions, messages, notes, sessions. No I/O.

MCP clients keep their session and their tools while a workload has no usable token. What they are told without the
upstream is decided here, per protocol revision, from values alone; `proxy/steady.py` does the HTTP.
"""
