"""The first script of both programs for Windows: they have one archive of modules between them, which this names.

PyInstaller puts an archive into each program, and this one has 9 MB. Its bootloader leaves the place of that archive in
an attribute of `sys`, which the importer reads afterwards. No module can be imported before.
"""

import sys

sys._pyinstaller_pyz = f"{sys._MEIPASS}\\modules.pyz"  # type: ignore[attr-defined]  # PyInstaller's
