"""Every page in every state: axe finds nothing at either width, light or dark, and each page is light to load.

Operators have tests of their own: the lists of their site are Django's.
"""

import gzip
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import DESK, PHONE, faults_of, new_context
from tests.databases import portal_database
from tests.every_page import OPERATOR, PAGES, log_in, prepare
from tests.portal import Portal

LIMIT = 60_000
"""Of a page with everything it loads, in bytes, compressed."""
NOT_OURS = {"explorer"}
"""Swagger UI's own page: what axe says of it and what it weighs are not ours."""
HEAVY = {"reference", "reference-logged-in"}
"""Long by their nature: all operations stand on one page."""


@pytest.fixture(scope="module")
def sample_portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    folder: Path = tmp_path_factory.mktemp("every-page")
    with portal_database(folder) as database_url, Portal(folder, database_url).running() as portal:
        prepare(portal)
        yield portal


@cache
def weight_of_file(portal: Portal, address: str) -> int:
    """Return the bytes of what a page loads, compressed; the name of a static file says what is in it."""
    return len(gzip.compress(portal.get(address.removeprefix(portal.url)).body))


def weight_of(page: Page, portal: Portal) -> int:
    """Return the bytes of a page and of what it loaded, each compressed."""
    loaded: list[str] = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    return len(gzip.compress(page.content().encode())) + sum(weight_of_file(portal, address) for address in loaded)


@pytest.mark.parametrize("who", [who for who in PAGES if who != OPERATOR], ids=lambda who: who or "stranger")
def test_every_page_in_every_state(chromium: Browser, sample_portal: Portal, who: str) -> None:
    context = new_context(chromium, sample_portal, reduced_motion="reduce")
    page = context.new_page()
    log_in(page, sample_portal, who)
    faults = []
    for name, step in PAGES[who].items():
        step(page)
        if name in NOT_OURS:
            continue
        faults += faults_of(page, widths=(DESK, PHONE))
        if name not in HEAVY and (weight := weight_of(page, sample_portal)) > LIMIT:
            faults.append(f"{name} weighs {weight} bytes")
    context.close()
    assert not faults, "\n".join(faults)
