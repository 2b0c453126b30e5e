"""MCP as the steady endpoint and the aggregate understand it: revisions, messages, noted answers, sessions. No I/O.

An MCP client that meets a workload without a usable token is to keep its session, its tools and its temper. What can be
said to it without the upstream is decided here, per protocol revision, from values alone; `proxy/steady.py` does the HTTP.
"""
