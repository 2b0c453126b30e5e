"""The entry point of the frozen program: the command line, in the user's own environment.

PyInstaller's bootloader puts the program's libraries first in the library path; whatever we start (a browser, the command
of `exec`) must find those of the system, so the path is restored. Our own linker has read the variable by now.

A frozen program is also its own interpreter: where Amberlight runs one of its modules in another process
(`sys.executable -m trayapp.…`), this file runs that module.
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
