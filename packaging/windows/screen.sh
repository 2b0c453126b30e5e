# shellcheck shell=bash
# The tray icon of the Windows program on a screen: Wine on the headless desktop, where tests look and click.
# dev.sh and lane.sh lend their functions.

SCREEN=$WINDOWS/screen # a profile of its own: Wine's desktop is bound to one display

# A copy of the lane's profile. What Wine only reads is linked, 700 MB; the registry isn't.
make_screen() {
    local wanted
    wanted=$(cat "$WINDOWS/.made-prefix")
    made screen "$wanted" && return
    rm -rf "$SCREEN"
    mkdir -p "$SCREEN/drive_c"
    cp -a "$WINDOWS"/prefix/{*.reg,.update-timestamp,dosdevices} "$SCREEN"
    cp -a "$WINDOWS/prefix/drive_c/users" "$SCREEN/drive_c"
    find "$WINDOWS/prefix/drive_c" -mindepth 1 -maxdepth 1 ! -name users -exec cp -al {} "$SCREEN/drive_c" \;
    printf '%s' "$wanted" >"$WINDOWS/.made-screen"
}

# test_windows_screen [OPTION...]: without options the quick ones, 40 s.
test_windows_screen() {
    make_screen
    [ $# != 0 ] || set -- -q -m "wine and not delivery" tests/windows
    outputs=$(mktemp -d)
    trap clear_up EXIT
    export AMBERLIGHT_WINE_SCREEN=$PWD/$SCREEN AMBERLIGHT_WINE_PYTHON=$PWD/$WINDOWS_HOME/python.exe WINE_USER=$WINDOWS_USER
    pytest_retried -n 0 "$@"
}

# From Setup.exe to the uninstaller, as a person does it. AMBERLIGHT_SHOTS is a directory for pictures of it.
try_course() {
    say "installing it on a screen, signing in, losing the server and coming back"
    export AMBERLIGHT_DELIVERY=$PWD/$DELIVERY
    test_windows_screen tests/windows/test_course.py
}
