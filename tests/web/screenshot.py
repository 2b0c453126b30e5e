"""Makes assets/dashboard.png, the picture in the README: `python -m tests.web.screenshot [FILE]`.

Run it after a change of the page.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from tests import ROOT
from tests.web.scenes import day, in_trouble
from tests.web.stage import MINUTE, Stage
from tests.web.window import Window

FILE = ROOT / "assets" / "dashboard.png"
WIDTH = 1100
SHOWN = ("github", "linear", "notion")
COLOURS = 128  # enough for a page of few colours, and a third of the size


def main(file: Path) -> None:
    views = [view for view in in_trouble() if view.name in SHOWN]
    with tempfile.TemporaryDirectory() as name, Stage(Path(name) / "run", *views) as stage, Window() as window:
        for view in views:
            stage.history[view.name] = day(view)
        window.look(width=WIDTH, height=1000)
        window.open(stage.link())
        for view in views:
            window.see(f"#workload-{view.name} .seg:not([hidden])")
        window.look(width=WIDTH, height=int(window.js("return document.querySelector('main').scrollHeight + 60")))
        stage.change("linear", next_attempt_at=time.time() + 4 * MINUTE + 12)  # opening took as long as it took
        window.until(lambda: "in 4:" in window.text("#workload-linear .next"), "no countdown")
        picture = Image.open(io.BytesIO(window.shot())).convert("RGB")
    picture.quantize(COLOURS).save(file, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
