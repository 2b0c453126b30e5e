"""`python -m trayapp`: the same as the command `amberlight`."""

import sys

from trayapp.cli import main

if __name__ == "__main__":
    sys.exit(main())
