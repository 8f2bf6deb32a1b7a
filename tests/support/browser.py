"""Open pages in Debian's Chromium, driven by playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Return the path of Chromium. Without Chromium, skip the test, or fail it in CI."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        reason = "no Chromium is installed (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Page:
    """An open page, with its network requests and its error messages."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", self._drop_blocked)
        page.on("console", lambda message: self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: self.errors.append(dialog.message))

    def _drop_blocked(self, request: Any) -> None:
        """Drop a request that the page's content security policy blocked: it was not sent."""
        if request.failure == "csp":
            self.requests.remove(request.url)

    def external_requests(self) -> list[str]:
        """Return the requests other than the page itself and its data URLs."""
        return [url for url in self.requests[1:] if not url.startswith("data:")]


class Browser:
    """A running browser, and the pages opened in it."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._opened: list[Page] = []

    def assert_quiet(self) -> None:
        """Assert that no page opened so far made an external request or reported an error."""
        opened, self._opened = self._opened, []
        for each in opened:
            assert (each.external_requests(), each.errors) == ([], [])

    def open(self, path: Path, width: int = 1280, scheme: str = "light") -> Page:
        context = self._browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        opened = Page(context.new_page())
        self._opened.append(opened)
        opened.page.goto(path.as_uri())
        return opened


@contextmanager
def launched() -> Iterator[Browser]:
    """Launch the browser, and close it at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium())
        yield Browser(browser)
        browser.close()
