"""Import of other programs' configuration: workloads are read from it, and never a secret.

Everything in this package turns texts into values and texts; `files.py` alone touches a disk, and only its `replace`
writes.
"""

from __future__ import annotations
