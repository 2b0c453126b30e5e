"""The tray icon, its menu and notifications: a `TrayView` goes in, clicks come out as actions.

Nothing here knows a workload's state or decides anything. `icon.py` is what the application uses; `backend.py` is the
interface of the backends behind it: `sni.py` with `dbusmenu.py` on Linux, `native.py` on macOS, `native_windows.py` with
`windows_shell.py` on Windows. `art.py` draws, `pixmap.py` shows the drawn shapes without Pillow. `notify.py` shows
notifications through the `channel.py` of the system.
"""
