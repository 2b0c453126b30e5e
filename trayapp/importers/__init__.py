"""Moving in from other programs: what they have configured is read here, and nothing is ever taken but configuration.

Everything in this package makes values and texts from texts; `files.py` alone touches a disk, and only `replace` writes.
"""

from __future__ import annotations
