"""The aggregate: one MCP endpoint over all workloads, in a process of its own that the app starts at the first request.

Nothing of this package is imported by the app: the MCP SDK that it stands on doubles a process. It knows no token, and its
key opens nothing that gives one out. Every workload is reached through Amberlight's own proxy with the local key, its
state is heard from the event stream, and what is needed for both comes by the standard input, whose end says that the
app is gone.

The official SDK's low-level server and client sessions are used and no proxy framework on top of them: those open a
session for every call (ten times the price) and take a workload without a token for one without tools.
"""
