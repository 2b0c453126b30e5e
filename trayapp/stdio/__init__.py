"""`amberlight stdio`: an MCP stdio server for clients that only start commands. It passes messages to the loopback server.

Blocking sockets in threads, an HTTP client of our own, and nothing imported before it is needed: every client starts one of
these for every workload. `packaging/bench/stdio.py` measures it: 14 MB, and 70 ms of processor time until `initialize` is
answered, 20 of them Python's own. asyncio alone would add 6 MB, aiohttp 20.
"""
