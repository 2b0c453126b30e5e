"""The tray: a `Face` goes in, clicks come out. Nothing here knows a workload's state or decides anything.

`icon.py` is the front that the application uses, `sni.py` with `dbusmenu.py` the Linux backend, `native.py` those of macOS
and Windows, `art.py` draws, `notify.py` shows notifications.
"""
