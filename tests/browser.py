"""A real browser for tests of the report: headless Chromium without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = ("tests of the report need Chromium: install Debian's package chromium, or set CHROMIUM to the program")


def chromium() -> str:
    """Return the path of Chromium: the environment variable CHROMIUM, else one found on the path."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if not found:
        raise FileNotFoundError(MISSING)
    return found


@dataclass
class Heard:
    """What a page asked for and complained of."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextmanager
def started() -> Iterator[Browser]:
    """Start Chromium; one at a time in a process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False,
           script: bool = True) -> Iterator[tuple[Page, Heard]]:
    """Open a file with the network off; yield the page, and what it asked for and complained of."""
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True,
                                  color_scheme="dark" if dark else "light", java_script_enabled=script)
    page, heard = context.new_page(), Heard()
    page.on("request", lambda request: heard.requests.append(request.url))
    page.on("console", lambda message: heard.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.complaints.append(str(error)))
    page.goto(path.resolve().as_uri())
    yield page, heard
    context.close()
