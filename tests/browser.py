"""Pages in a real browser: Debian's Chromium, headless, without a network, and with its complaints written down."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

WIDE, NARROW = 1400, 390


@dataclass
class Opened:
    """A file in the browser. `requests` are those that it made to anywhere but itself, `complaints` what it logged."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def scroll_through(self) -> None:
        """Down to the end, so that what waits to be seen is drawn, and up again."""
        top, step = 0, 600
        while top < self.page.evaluate("document.documentElement.scrollHeight"):  # which grows by what is drawn
            self.page.evaluate(f"window.scrollTo({{top: {top}, behavior: 'instant'}})")
            self.page.wait_for_timeout(30)
            top += step
        drawn = "chart.querySelector('svg') || !chart.checkVisibility()"  # what is folded waits
        self.wait_until(f"[...document.querySelectorAll('.chart')].every((chart) => {drawn})")
        self.page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")

    def wait_until(self, true: str) -> None:
        """Until an expression is true, for ten seconds at most; playwright's own waiting needs what pages forbid."""
        for _ in range(200):
            if self.page.evaluate(true):
                return
            self.page.wait_for_timeout(50)
        raise TimeoutError(true)

    def settles(self, read: Callable[[], bool]) -> bool:
        """Whether something becomes true within ten seconds: pages draw when they get to it."""
        for _ in range(200):
            if read():
                return True
            self.page.wait_for_timeout(50)
        return False

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        wider: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return wider


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; the test skips where there is none."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(
    browser: Browser, path: Path, *, width: int = WIDE, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Opened]:
    """A file at a width in pixels and in a colour scheme; what it asks of anywhere else is refused and recorded."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    opened = Opened(context.new_page())
    address = path.resolve().as_uri()

    def decide(route: Route, request: Request) -> None:
        if request.url.partition("#")[0] == address or request.url.startswith(("data:", "blob:")):
            route.continue_()
        else:
            opened.requests.append(request.url)
            route.abort()

    context.route("**/*", decide)
    opened.page.on("console", lambda said: opened.complaints.append(said.text) if said.type != "log" else None)
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    try:
        opened.page.goto(address)
        yield opened
    finally:
        context.close()
