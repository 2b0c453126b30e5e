"""The aggregate: one MCP endpoint over all workloads, in a process of its own that the app starts at the first request.

Nothing of this package is imported by the app: the MCP SDK that it stands on doubles a process. It knows no token. Every
workload is reached through Amberlight's own proxy with the local key, its state is heard from the event stream, and
what it needs for both comes by its standard input, which also tells it that the app is gone.

The official SDK's low-level server and client sessions are used and no proxy framework on top of them: those open a
session for every call (ten times the price) and take a workload without a token for one without tools.
"""
