"""Run by Windows' Python: presses buttons by their text, one after the other, in whatever dialogs are there.

A button counts once it can be seen and pressed. The message is sent, not posted: when it returns, the dialog has done what
the button says, and its next page is there.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any

LIMIT = 120.0  # s for each button
WM_COMMAND = 0x0111


def buttons() -> dict[str, tuple[int, int]]:
    """The text of each button that can be pressed now, without its accelerator, and its dialog and window."""
    user: Any = ctypes.windll.user32  # type: ignore[attr-defined]  # Windows alone has it
    found: dict[str, tuple[int, int]] = {}
    callback = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)  # type: ignore[attr-defined]

    def text_of(get: Any, window: int) -> str:
        buffer = ctypes.create_unicode_buffer(256)
        get(ctypes.c_void_p(window), buffer, 256)
        return buffer.value

    @callback  # type: ignore[untyped-decorator]
    def dialog(window: int, _: int) -> int:
        @callback  # type: ignore[untyped-decorator]
        def child(button: int, _: int) -> int:
            handle = ctypes.c_void_p(button)
            if (
                text_of(user.GetClassNameW, button) == "Button"
                and user.IsWindowVisible(handle)
                and user.IsWindowEnabled(handle)
            ):
                parent = user.GetParent(handle)
                found[text_of(user.GetWindowTextW, button).replace("&", "")] = (parent, button)
            return 1

        if user.IsWindowVisible(ctypes.c_void_p(window)) and text_of(user.GetClassNameW, window) == "#32770":
            user.EnumChildWindows(ctypes.c_void_p(window), child, None)
        return 1

    user.GetParent.restype = ctypes.c_void_p
    user.EnumWindows(dialog, None)
    return found


def press(name: str) -> bool:
    user: Any = ctypes.windll.user32  # type: ignore[attr-defined]
    end, there = time.monotonic() + LIMIT, dict[str, tuple[int, int]]()
    while time.monotonic() < end:
        there = buttons()
        if name in there:
            parent, button = (ctypes.c_void_p(each) for each in there[name])
            user.SendMessageW(parent, WM_COMMAND, ctypes.c_void_p(user.GetDlgCtrlID(button)), button)
            return True
        time.sleep(0.2)
    print(f"There is no button {name}, only: {', '.join(there) or 'none'}", file=sys.stderr)
    return False


if __name__ == "__main__":
    sys.exit(0 if all(press(name) for name in sys.argv[1:]) else 1)
