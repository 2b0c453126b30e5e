#!/usr/bin/env bash
# Makes what a command needs, then runs it: a virtual environment in .venv and, for `test`, the headless desktop.
# Needs Python 3.11 or newer, or an apt-get to ask for its parts. Everything is made once and renewed when it changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
CONSTRAINTS=packaging/constraints.txt
# The headless desktop of the tests: D-Bus, X server and mouse, panel, notifications, keyring, mocks, browser.
DESKTOP="dbus xvfb xdotool xfce4-panel xfce4-notifyd gnome-keyring python3-dbusmock iproute2 procps chromium chromium-driver"
# What judges the files that a package brings: desktop entries, metainfo, and a real starter of entries.
DESKTOP="$DESKTOP desktop-file-utils appstream libglib2.0-bin"

usage() {
    cat <<'TEXT'
usage: packaging/dev.sh COMMAND

  demo [OPTION...]     play a day in a minute (amberlight demo --help)
  run [ARGUMENT...]    run amberlight from this checkout; without arguments the app starts
  test [OPTION...]     lint, type-check and test; options go to pytest, and then no coverage is demanded
  lint                 lint and type-check only

PYTHON=/path/to/python chooses the interpreter of a new .venv.
TEXT
}

say() { printf '%s\n' "dev.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

# --- Python ----------------------------------------------------------------------------------------------------------

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of version 3.11 or newer."
        printf '%s' "$PYTHON"
        return
    fi
    local name
    for name in python3.13 python3.12 python3.11 python3.14 python3 python; do
        if new_enough "$name"; then # a version manager's name without its version fails here and is passed over
            printf '%s' "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and was not found; name one with PYTHON=/path/to/python."
}

make_venv() {
    if [ -x "$VENV/bin/python" ] && new_enough "$VENV/bin/python" && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    local python version
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then # Debian keeps these in a package of their own
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        apt_install "python$version-venv" || fail "$python cannot make virtual environments: install python$version-venv."
    fi
    say "making $VENV with $("$python" --version)"
    "$python" -m venv --clear "$VENV"
}

# What the installed packages depend on; a checkout that was moved is installed anew, as its scripts hold its path.
wanted() { cat pyproject.toml "$CONSTRAINTS" | cksum; pwd; "$VENV/bin/python" --version; }

installed() { [ -f "$VENV/.made-$1" ] && [ "$(cat "$VENV/.made-$1")" = "$(wanted)" ]; }

# install app | install dev: the second holds the first.
install() {
    make_venv
    if installed dev || installed "$1"; then
        return
    fi
    local what=.
    [ "$1" = app ] || what=".[dev]"
    say "installing Amberlight and its packages into $VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c "$CONSTRAINTS" -e "$what" ||
        fail "pip could not install the packages; its words are above. Is the package index reachable?"
    rm -f "$VENV"/.made-*
    wanted >"$VENV/.made-$1"
}

# --- Debian packages -------------------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

may_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null || [ -t 0 ] # on a terminal sudo may ask for the password
}

apt_install() {
    may_install || return 1
    say "installing with apt-get: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 update >/dev/null ||
        say "apt-get update failed; trying with the lists that are there"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends "$@" >/dev/null
}

missing_packages() {
    local name
    for name in $DESKTOP; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s ' "$name"
    done
}

make_desktop() {
    if ! command -v dpkg-query >/dev/null; then
        say "this is no Debian: tests of the desktop are skipped where its programs are missing."
        return
    fi
    local missing
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # a list of names
    apt_install $missing ||
        say "not installed: $missing. Tests of the desktop, the keyring and the browser that need them are skipped" \
            "(under CI=true they fail). As root, or with sudo, this command installs them."
}

# --- the commands ----------------------------------------------------------------------------------------------------

lint() {
    local bad=0
    "$VENV/bin/ruff" check . || bad=1
    "$VENV/bin/ruff" format --check . || bad=1
    "$VENV/bin/mypy" || bad=1
    return $bad
}

run_tests() {
    local bad=0 words simulated
    if [ $# = 0 ]; then # simulated laptops, beside all the rest: measuring their coverage would take minutes
        words=$(mktemp)
        "$VENV/bin/python" -m pytest -p no:cacheprovider -m slow >"$words" 2>&1 &
        simulated=$!
        # shellcheck disable=SC2064 # these, as they are now
        trap "kill $simulated 2>/dev/null; rm -f '$words'" EXIT
    fi
    lint || bad=1 # and test all the same: one run tells everything
    if [ $# != 0 ]; then
        "$VENV/bin/python" -m pytest "$@" || bad=1
    else
        "$VENV/bin/python" -m coverage run -m pytest -m "not slow" || bad=1
        wait "$simulated" || bad=1
        trap - EXIT # there is nothing to kill any more, and a kill that fails would be the exit code of it all
        cat "$words"
        rm -f "$words"
        "$VENV/bin/python" -m coverage report --skip-covered --skip-empty || bad=1
        "$VENV/bin/python" -m coverage report --skip-covered --show-missing \
            --include='trayapp/core/*' --fail-under=100 || bad=1
    fi
    [ $bad = 0 ] || say "something above is not right."
    return $bad
}

command=${1:-help}
[ $# = 0 ] || shift
case $command in
    demo) install app; exec "$VENV/bin/amberlight" demo "$@" ;;
    run) install app; exec "$VENV/bin/amberlight" "$@" ;;
    lint) install dev; lint ;;
    test) install dev; make_desktop; run_tests "$@" ;;
    help | -h | --help) usage ;;
    *) usage >&2; say "there is no command $command"; exit 2 ;;
esac
