"""What the frozen program runs: the command line, in the environment that the person has.

The starter of a frozen program puts its own libraries first for itself; whatever we start (a browser, the command of
`exec`) must find those of the system. The linker has read the variable by now, so it only matters to others.
A frozen program is its own interpreter too: where Amberlight starts a module of its own in a process of its own
(`sys.executable -m trayapp.…`), that is done here.
"""

import os
import runpy
import sys

for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
    theirs = os.environ.pop(f"{name}_ORIG", None)
    if theirs is not None:
        os.environ[name] = theirs
    elif hasattr(sys, "_MEIPASS") and sys._MEIPASS in os.environ.get(name, "").split(os.pathsep):
        del os.environ[name]

if __name__ == "__main__":
    if sys.argv[1:2] == ["-m"] and len(sys.argv) > 2 and sys.argv[2].startswith("trayapp."):
        module = sys.argv[2]
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        from trayapp.cli import main

        sys.exit(main())
