"""`python -m trayapp.aggregate`: started by the app, never by hand."""

from __future__ import annotations

import sys

from trayapp.aggregate.process import main

if __name__ == "__main__":
    sys.exit(main())
