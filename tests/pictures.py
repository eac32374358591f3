"""`make screenshots`: every page in every state, into var/screenshots: wide and narrow, light and dark.

Nothing here asserts; someone looks. The portal is one of its own, with sample keys in every state.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.every_page import PAGES, Step, log_in, prepare
from tests.portal import ROOT, Portal

FOLDER: Final = ROOT / "var/screenshots"
SIZES: Final = {"wide": (1440, 900), "narrow": (360, 740)}


def main(chosen: set[str]) -> None:
    """Take the pictures of these names, or all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keyportal-pictures-") as name:
        with (
            Portal(Path(name), f"sqlite:///{name}/portal.sqlite3").running() as portal,
            sync_playwright() as playwright,
        ):
            prepare(portal)
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            for who, pages in PAGES.items():
                wanted = {name: step for name, step in pages.items() if not chosen or name in chosen}
                for size in SIZES if wanted else ():
                    _take(browser, portal, who, size, wanted)


def _take(browser: Browser, portal: Portal, who: str, size: str, pages: dict[str, Step]) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=portal.url, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    page = context.new_page()
    log_in(page, portal, who)
    for name, step in pages.items():
        step(page)
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
            page.screenshot(path=FOLDER / f"{name}-{size}-{colours}.png", full_page=True)
    context.close()


if __name__ == "__main__":
    main(set(sys.argv[1:]))
