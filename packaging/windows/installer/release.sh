# shellcheck shell=bash
# The delivery for Windows, made and tried in Wine: frozen program, Setup.exe, portable archive, manifests, in dist/windows.
# dev.sh and lane.sh lend their functions.

DELIVERY=dist/windows
FREEZER=$WINDOWS/freezer # a CPython with the dependencies and PyInstaller, and nothing else that could get in
FREEZER_HOME=$FREEZER/org/bytedeco/cpython/windows-x86_64
FREEZER_LOCK=packaging/windows/installer/frozen.txt

# release_windows [URL]: the directory of the web where the files will be.
release_windows() {
    command -v makensis >/dev/null || apt_install nsis || fail "makensis isn't here, and apt-get could not install nsis."
    make_freezer
    freeze_windows
    "$VENV/bin/python" packaging/windows/installer/deliver.py --dist "$DELIVERY" ${1:+--url "$1"} ||
        fail "nothing was delivered; the reason is above."
    try_delivery
}

make_freezer() {
    local wanted site=$FREEZER_HOME/lib/site-packages
    wanted="$WINDOWS_CPYTHON_SHA256 $(cksum <$FREEZER_LOCK)"
    made freezer "$wanted" && return
    say "making the environment that freezes, in $FREEZER"
    rm -rf "$FREEZER"
    cp -al "$WINDOWS/python" "$FREEZER"
    rm -f "$site/checkout.pth"
    "$WINDOWS/uv/bin/uv" pip install --quiet --python-platform windows --python-version 3.13 --only-binary :all: \
        --target "$site" --no-deps --require-hashes -r "$FREEZER_LOCK" ||
        fail "uv could not install what is frozen; its words are above."
    printf '%s' "$wanted" >"$WINDOWS/.made-freezer"
}

freeze_windows() {
    say "freezing; this takes some minutes"
    rm -rf "$DELIVERY"
    (
        set -o pipefail
        export PYTHONPATH PYTHONHASHSEED=0 SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1767225600} PYTHONDONTWRITEBYTECODE=1
        PYTHONPATH=$(windows_path "$PWD")
        wine "$FREEZER_HOME/python.exe" -m PyInstaller --noconfirm --clean --log-level WARN --workpath "$WINDOWS/frozen" \
            --distpath "$DELIVERY" packaging/pyinstaller/amberlight.spec 2>&1 </dev/null | cat >&2
    ) || fail "PyInstaller failed; its words are above."
}

# On a Windows of its own, where nothing was ever installed.
try_delivery() {
    local python=$PWD/$WINDOWS_HOME/python.exe # presses the buttons of dialogs
    say "installing it in Wine, using it, upgrading it and removing it"
    (
        WINDOWS=$WINDOWS/delivery
        rm -rf "$WINDOWS"
        mkdir -p "$WINDOWS/home"
        export HOME=$PWD/$WINDOWS/home # where Wine's Documents and Desktop lead
        make_windows_prefix
        export AMBERLIGHT_DELIVERY=$PWD/$DELIVERY AMBERLIGHT_WINDOWS_PYTHON=$python PYTHONDONTWRITEBYTECODE=1
        export WINEPREFIX=$PWD/$WINDOWS/prefix WINEARCH=win64 WINEDEBUG=-all
        export WINEDLLOVERRIDES="mscoree,mshtml=;winedbg.exe=d" USER=$WINDOWS_USER LANG=C.UTF-8
        xvfb-run -a "$VENV/bin/python" -m pytest -n 0 -o timeout=1200 -m delivery \
            tests/packaging/test_windows_delivery.py "$@"
    )
}
