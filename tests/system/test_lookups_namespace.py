"""Look-ups at a real DNS server that is silent or dead, by the system's own resolver."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests import ROOT
from tests.osevents.test_polling import UNSHARE, require_namespace

pytestmark = [
    pytest.mark.desktop,
    pytest.mark.linux("network namespaces are Linux's"),
]


def test_a_dead_resolver_is_left_behind() -> None:
    """DNS that is silent at first is heard soon after, a new network's immediately, and the end waits for none."""
    require_namespace()
    done = subprocess.run(
        [*UNSHARE, "--mount", sys.executable, "-m", "tests.system.namespace"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ended = time.time()
    assert 0 == done.returncode, done.stdout + done.stderr
    said = {line["case"]: line for line in map(json.loads, done.stdout.splitlines())}

    assert 1.5 < said["silent_at_first"]["took"] < 4.0
    assert said["dead_until_the_network_changes"]["took"] < 1.0
    assert ended - said["end"]["at"] < 3.0
