#!/usr/bin/env bash
# Creates what a command needs, then runs it: a virtual environment in .venv and, for `test`, the headless desktop.
# Needs Python 3.11 or newer. Everything is created once and renewed when it changes.
set -euo pipefail
HERE=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
CONSTRAINTS=packaging/constraints.txt
VIRTUALENV="virtualenv>=20.26,<21" # for a Python without ensurepip
# The headless desktop of the tests: D-Bus, X server and mouse, panel, notifications, keyring, mocks, browser.
DESKTOP="dbus xvfb xdotool xfce4-panel xfce4-notifyd gnome-keyring python3-dbusmock iproute2 procps chromium chromium-driver"
# Validators for the files in a package: desktop entries and metainfo; and programs that start desktop entries.
DESKTOP="$DESKTOP desktop-file-utils appstream libglib2.0-bin dex"
# What a sandbox puts between a program and the session bus.
DESKTOP="$DESKTOP xdg-dbus-proxy"
# Mail programs, for the tests of accounts, and SASL's XOAUTH2. Their server is only for machines without systemd, such as
# CI's: elsewhere Debian would start it as a service.
DESKTOP="$DESKTOP neomutt mutt msmtp isync aerc libsasl2-modules-kdexoauth2"
[ -d /run/systemd/system ] || DESKTOP="$DESKTOP dovecot-imapd dovecot-submissiond"

usage() {
    cat <<'TEXT'
usage: packaging/dev.sh COMMAND

  demo [OPTION...]     play a day in a minute (amberlight demo --help)
  run [ARGUMENT...]    run amberlight from this checkout; without arguments the app starts
  test                 lint, type-check and run every test, on Debian also those of Windows in Wine: about 23 minutes on
                       two processors
  test --fast          the same without the tests that need a desktop, a browser, npm or a package to be built,
                       without simulated weeks and without coverage: about a minute
  test --windows [OPTION...]
                       run the tests that aren't Linux's in Wine, with CPython for Windows; the first run sets both up
  test --windows-screen [OPTION...]
                       see and click the tray icon and the menu of the Windows program, on the headless desktop
  test OPTION...       lint, type-check and run pytest with these options
  lint                 lint and type-check only
  release --windows [URL]
                       make Setup.exe, the portable archive and the manifests in dist/windows, and try them in Wine;
                       URL is the directory of the web where they will be

PYTHON=/path/to/python chooses the interpreter of a new .venv.
TEXT
}

say() { printf '%s\n' "dev.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

# --- Python ----------------------------------------------------------------------------------------------------------

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# The newest Python that can make virtual environments, or else the newest.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of version 3.11 or newer."
        printf '%s' "$PYTHON"
        return
    fi
    local name newest=
    for name in python3.13 python3.12 python3.11 python3.14 python3 python; do
        new_enough "$name" || continue # a version manager's shim without a selected version is skipped
        if has_venv "$name"; then
            printf '%s' "$name"
            return
        fi
        newest=${newest:-$name}
    done
    [ -n "$newest" ] || fail "Python 3.11 or newer is needed and was not found; name one with PYTHON=/path/to/python."
    printf '%s' "$newest"
}

make_venv() {
    if [ -x "$VENV/bin/python" ] && new_enough "$VENV/bin/python" && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    local python package
    python=$(find_python)
    say "making $VENV with $("$python" --version)"
    if has_venv "$python"; then
        "$python" -m venv --clear "$VENV"
        return
    fi
    make_venv_otherwise "$python" && return
    package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv # as Debian calls it
    apt_install "$package" ||
        fail "$python can't make a virtual environment, and $(why_not_otherwise "$python")." \
            "Install the package $package (or python3-pip), or name another Python with PYTHON=/path/to/python."
    "$python" -m venv --clear "$VENV"
}

# Debian has ensurepip in a package of its own. Without it and without root, uv or virtualenv makes the environment.
make_venv_otherwise() {
    local folder code=0
    rm -rf "$VENV"
    if command -v uv >/dev/null; then
        uv venv --quiet --seed --python "$1" "$VENV" && return
    fi
    has_pip "$1" || return 1
    folder=$(mktemp -d) || return 1
    say "$1 has no ensurepip; pip gets virtualenv instead"
    { "$1" -m pip install --quiet --disable-pip-version-check --target "$folder" "$VIRTUALENV" &&
        PYTHONPATH=$folder "$1" -m virtualenv --quiet --clear "$VENV"; } || code=$?
    rm -rf "$folder"
    return $code
}

has_pip() { "$1" -m pip --version >/dev/null 2>&1; }

why_not_otherwise() {
    if has_pip "$1"; then
        printf 'pip could not get virtualenv (see above)'
    else
        printf 'there is no pip to get virtualenv with'
    fi
}

# What the installation depends on; a moved checkout is installed again, as its scripts hold its path.
wanted() { cat pyproject.toml "$CONSTRAINTS" | cksum; pwd; "$VENV/bin/python" --version; }

installed() { [ -f "$VENV/.made-$1" ] && [ "$(cat "$VENV/.made-$1")" = "$(wanted)" ]; }

# install app | install dev: the second includes the first.
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
    "$VENV/bin/lint-imports" --no-logo || bad=1
    "$VENV/bin/mypy" || bad=1
    return $bad
}

# Tests that mostly wait for screens, browsers and other programs: three of them share two processors.
OUTSIDE="desktop or real"

# beside NAME COMMAND...: runs it in the background; joined NAME waits for it, prints its output and returns its code.
# It gets what the tests leave of the processors: some of them measure short times.
beside() {
    local name=$1
    shift
    {
        renice -n 19 -p $BASHPID >/dev/null 2>&1 || true # before it starts others, which then are the same
        "$@"
    } >"$outputs/$name" 2>&1 &
    printf '%s' $! >"$outputs/$name.pid"
}

joined() {
    local code=0
    wait "$(cat "$outputs/$1.pid")" || code=$?
    rm "$outputs/$1.pid"
    cat "$outputs/$1"
    return $code
}

# Ends what still runs in the background. It must not fail: that would become the script's exit code.
clear_up() {
    local pid
    for pid in "$outputs"/*.pid; do
        [ ! -e "$pid" ] || kill "$(cat "$pid")" 2>/dev/null || true
    done
    rm -rf "$outputs"
}

pytest() { "$VENV/bin/python" -m pytest "$@"; }

# Runs tests; the few that failed run once more, alone, and have to pass then. Real desktops, daemons and clients,
# three at a time on two processors, can miss a deadline; a fault of the program fails twice.
pytest_retried() {
    local code=0 cache failed
    cache=$(mktemp -d "$outputs/cache.XXXX")
    pytest -o cache_dir="$cache" "$@" || code=$?
    [ $code = 1 ] || return $code # 1: tests failed; anything else has nothing to do with load
    failed=$(grep -c ': true' "$cache/v/cache/lastfailed") || return 1
    [ "$failed" -le 5 ] || return 1
    say "$failed failed; once more, alone:"
    pytest -o cache_dir="$cache" --last-failed --last-failed-no-failures none "$@" --cov-append -n 0 || return 1
    say "they passed alone. Each is either slow or not independent of the others: see the failures above."
}

run_chosen() {
    local bad=0
    lint || bad=1 # and test anyway: one run shows everything
    pytest "$@" || bad=1
    return $bad
}

run_fast() {
    local bad=0
    beside lint lint # and four at once: half of them wait for something
    pytest -n 4 -m "not (slow or build or alone or $OUTSIDE)" || bad=1
    joined lint || bad=1
    pytest -m "alone and not ($OUTSIDE)" || bad=1
    return $bad
}

can_have_windows() {
    # shellcheck source=packaging/windows/lane.sh
    . packaging/windows/lane.sh
    [ -z "$(windows_missing)" ] || may_install
}

# A minute, mostly of waiting.
prepare_windows() { ! can_have_windows || make_windows; }

# The tests that aren't Linux's, in Wine. Where it can't be installed a laptop goes without them, and CI fails.
run_windows() {
    if ! can_have_windows; then
        say "THE WINDOWS TESTS DID NOT RUN. Not installed: $(windows_missing)- as root, or with sudo, this command installs them."
        [ "${CI:-}" != true ] && [ "${CI:-}" != 1 ]
        return
    fi
    local bad=0
    # shellcheck disable=SC2086 # a list of names
    bash packaging/dev.sh test --windows -q $WINDOWS_TESTS || bad=1
    bash packaging/dev.sh test --windows-screen || bad=1
    return $bad
}

run_all() {
    local bad=0 others="not (slow or alone or $OUTSIDE)"
    beside lint lint
    beside simulation pytest -p no:cacheprovider -m slow # simulated laptops
    # The tests of the rules alone reach every branch of them. Measuring the others would take minutes.
    pytest_retried --cov=trayapp.core --cov-report= -n 2 -m "$others" tests/core || bad=1
    pytest_retried -n 3 -m "$others" --ignore=tests/core || bad=1 # a third of the time they wait for something
    joined lint || bad=1
    beside windows prepare_windows
    # A file at a time, as its tests share a desktop, and in the order of their names: the long ones do not come last.
    pytest_retried -n 3 --dist loadfile --no-loadscope-reorder -m "($OUTSIDE) and not alone" || bad=1
    joined simulation || bad=1
    joined windows || bad=1
    pytest_retried -m alone || bad=1
    say "the same tests in Wine, with CPython for Windows:"
    run_windows || bad=1
    "$VENV/bin/python" -m coverage report --skip-covered --show-missing \
        --include='trayapp/core/*' --fail-under=100 || bad=1
    return $bad
}

run_tests() {
    local bad=0
    outputs=$(mktemp -d)
    trap clear_up EXIT
    case ${1:-} in
        "") run_all || bad=1 ;;
        --fast)
            [ $# = 1 ] || fail "test --fast takes no further options."
            run_fast || bad=1
            ;;
        *) run_chosen "$@" || bad=1 ;;
    esac
    [ $bad = 0 ] || say "something above is not right."
    return $bad
}

# Runs Amberlight where the person is: paths among its arguments, and those that it prints, are relative to there.
in_place() {
    local program=$PWD/$VENV/bin/amberlight
    cd "$HERE"
    exec "$program" "$@"
}

command=${1:-help}
[ $# = 0 ] || shift
case $command in
    demo) install app; in_place demo "$@" ;;
    run) install app; in_place "$@" ;;
    lint) install dev; lint ;;
    release)
        [ "${1:-}" = --windows ] && [ $# -le 2 ] || fail "the only release that this makes is: release --windows [URL]"
        install dev
        # shellcheck source=packaging/windows/lane.sh
        . packaging/windows/lane.sh
        # shellcheck source=packaging/windows/installer/release.sh
        . packaging/windows/installer/release.sh
        # shellcheck source=packaging/windows/screen.sh
        . packaging/windows/screen.sh
        make_desktop
        make_windows
        release_windows "${2:-}"
        try_course
        ;;
    test)
        if [ "${1:-}" = --windows-screen ]; then
            shift
            install dev
            make_desktop
            # shellcheck source=packaging/windows/lane.sh
            . packaging/windows/lane.sh
            # shellcheck source=packaging/windows/screen.sh
            . packaging/windows/screen.sh
            make_windows
            test_windows_screen "$@"
            exit
        fi
        if [ "${1:-}" = --windows ]; then
            shift
            make_venv
            # shellcheck source=packaging/windows/lane.sh
            . packaging/windows/lane.sh
            make_windows
            outputs=$(mktemp -d)
            trap clear_up EXIT
            test_windows "$@"
            exit
        fi
        install dev
        [ "${1:-}" = --fast ] || make_desktop
        run_tests "$@"
        ;;
    help | -h | --help) usage ;;
    *) usage >&2; say "there is no command $command"; exit 2 ;;
esac
