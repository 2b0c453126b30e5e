"""What the frozen program runs: the command line, in the environment that the person has.

The starter of a frozen program puts its own libraries first for itself; whatever we start (a browser, the command of
`exec`) must find those of the system. The linker has read the variable by now, so it only matters to others.
"""

import os
import sys

for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
    theirs = os.environ.pop(f"{name}_ORIG", None)
    if theirs is not None:
        os.environ[name] = theirs
    elif getattr(sys, "_MEIPASS", "") in os.environ.get(name, "").split(os.pathsep):
        del os.environ[name]

from trayapp.cli import main  # noqa: E402 - with the environment put right

if __name__ == "__main__":
    sys.exit(main())
