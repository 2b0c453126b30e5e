"""The Windows program in Wine on the headless desktop of `tests/desktop`: seen by screenshots, clicked by xdotool."""
