"""Import of other programs' configuration: reads workloads, never secrets.

Everything in this package turns texts into values and texts; `files.py` alone touches a disk, and only its `replace`
writes.
"""

from __future__ import annotations
