"""The MCP protocol for both endpoints, `/w/NAME` and `/mcp`: revisions, messages, notes of answers, sessions. No I/O.

An MCP client that meets a workload without a usable token is to keep its session, its tools and its temper. What can be
said to it without the upstream is decided here, per protocol revision, from values alone; `proxy/steady.py` does the HTTP.
"""
