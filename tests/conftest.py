"""What every test may use."""

import os
import sys

pytest_plugins = ["trayapp.oauthtest.plugin"]

# Compiled files are kept, whatever the environment says: the tests start hundreds of programs, and each of them and the
# next run of these tests would compile everything anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
