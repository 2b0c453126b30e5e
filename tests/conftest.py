"""Settings and fixtures for every test."""

import os
import sys

pytest_plugins = ["trayapp.oauthtest.plugin"]

# Bytecode is written, whatever the environment says: the tests start hundreds of programs, and without it each of them
# would compile everything again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
