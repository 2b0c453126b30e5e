"""Entry point of `python -m trayapp.aggregate`, which the app runs; not meant to be run by hand."""

from __future__ import annotations

import sys

from trayapp.aggregate.process import main

if __name__ == "__main__":
    sys.exit(main())
