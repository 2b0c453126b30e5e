"""Import of other programs' configuration: reads workloads, never secrets.

Everything in this package turns texts into values and texts.
"""

from __future__ import annotations
