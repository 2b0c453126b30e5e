"""Clients on this machine, such as Claude Code: where they keep their servers, and writing ours there.

Everything in this package turns texts into values and texts; `files.py` and `changes.py` alone touch a disk.
"""
