"""The process of the MCP endpoint over all workloads. The app starts it at the first request to `/mcp`.

The app imports nothing of this package, because the MCP SDK that it is built on doubles a process's memory. This
process knows no access token, and its key to the API opens no route that returns one. It reaches every workload
through Amberlight's own proxy with the local key, learns their states from the event stream, and gets what it needs
for both through its standard input, whose end says that the app is gone.

It uses the official SDK's low-level server and client sessions, and no proxy framework on top of them: those open a
session for every call, at ten times the cost, and mistake a workload without a token for one without tools.
"""
