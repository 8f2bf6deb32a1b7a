"""A real browser for tests: Debian's Chromium, driven by playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Where it is. Without one a test is skipped, but where everything must run (CI) it fails."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        reason = "no Chromium is installed (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Opened:
    """A page, and all that it asked for and complained about."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", self._forget_refused)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def _forget_refused(self, request: Any) -> None:
        """What the page's own policy has refused was asked of nobody."""
        if request.failure == "csp":
            self.requests.remove(request.url)

    def outside(self) -> list[str]:
        """The requests beside the page itself and what it carries."""
        return [url for url in self.requests[1:] if not url.startswith("data:")]


class Browser:
    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._opened: list[Opened] = []

    def assert_quiet(self) -> None:
        """No page that was opened has asked for anything, or complained."""
        opened, self._opened = self._opened, []
        for each in opened:
            assert (each.outside(), each.complaints) == ([], [])

    def open(self, path: Path, width: int = 1280, scheme: str = "light") -> Opened:
        context = self._browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        opened = Opened(context.new_page())
        self._opened.append(opened)
        opened.page.goto(path.as_uri())
        return opened


@contextmanager
def launched() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium())
        yield Browser(browser)
        browser.close()
