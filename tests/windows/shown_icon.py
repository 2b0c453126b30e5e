"""A tray icon in Wine, for the tests beside this file: views come in on standard input, clicks go out on standard output.

A line of input is a pickled `TrayView` in base64; the end of the input ends the program. A line of output is JSON: a word
and what belongs to it.
"""

from __future__ import annotations

import base64
import json
import pickle
import sys
import threading

from trayapp.tray.icon import TrayIcon


def say(*words: object) -> None:
    """To the test."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def listen(icon: TrayIcon) -> None:
    """Show what comes, until nothing comes any more."""
    for line in sys.stdin.buffer:
        icon.publish(pickle.loads(base64.b64decode(line)))
    icon.stop()


def main() -> None:
    """Show the icon until the input ends."""
    icon = TrayIcon(
        lambda action: say("action", action.verb, action.name),
        lambda: say("ready"),
        on_host=lambda present: say("host", present),
    )
    threading.Thread(target=listen, args=(icon,), daemon=True).start()
    icon.run()
    say("end")


if __name__ == "__main__":
    main()
