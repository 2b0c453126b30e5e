"""`amberlight stdio`: an MCP stdio server for clients that only start commands. It passes messages to the loopback server.

Blocking sockets in threads, an HTTP client of our own, and nothing imported before it is needed: every client starts one of
these for every workload. `packaging/bench/stdio.py` measures it: a process has 15 MB and is ready in the time that Python
takes plus 60 ms. With asyncio it would have 8 MB more, with aiohttp 30.
"""
