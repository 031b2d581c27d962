"""A headless Chromium, and what tests of the web console do with it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
PICTURES = os.environ.get("SESQ_TEST_SCREENSHOTS")
PATIENCE_SECONDS = 30
WIDTHS = {"wide": 1280, "narrow": 390}
HEIGHT = 900


class Browser:
    """One window. `site`: where the console is."""

    def __init__(self, driver: webdriver.Chrome, site: str) -> None:
        self.driver = driver
        self.site = site

    def open(self, path: str) -> None:
        """A page of the default account, or a whole path."""
        self.driver.get(self.site + (path if path.startswith("/") else f"/accounts/default/{path}"))

    @property
    def text(self) -> str:
        """What is to be read on the page."""
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def find(self, selector: str) -> Any:
        """The first element for a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def fill(self, **fields: str) -> None:
        """Types into the fields of these names."""
        for name, value in fields.items():
            field = self.find(f"main [name='{name}']")
            field.clear()
            field.send_keys(value)

    def press(self, label: str) -> None:
        """The button that says so; returns when its page is there."""
        before = self.driver.find_element(By.TAG_NAME, "html")
        self.driver.find_element(By.XPATH, f"//main//button[normalize-space()='{label}']").click()
        self.until(lambda: _is_gone(before), f"the page after {label}")

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Looks until it holds; what it then is."""
        wait = WebDriverWait(
            self.driver, PATIENCE_SECONDS, 0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        return wait.until(lambda _: holds(), f"not within {PATIENCE_SECONDS} s: {what}")

    def until_says(self, words: str) -> None:
        """Until these words are on the page, without it being loaded again."""
        self.until(lambda: words in self.text, f"{words!r} in {self.text[:2000]!r}")

    def fetched(self) -> set[str]:
        """The addresses of what has been loaded since this was last asked.

        Not what the browser brings for its own first page, nor what stands in a page itself.
        """
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        loaded = {e["params"]["response"]["url"] for e in events if e["method"] == "Network.responseReceived"}
        return {url for url in loaded if not url.startswith(("chrome://", "data:"))}

    def problems(self) -> list[str]:
        """What it has complained of since this was last asked: an error in a script, what the policy forbids."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]

    def look(self, name: str) -> None:
        """The page must fit its width, wide and narrow. Where SESQ_TEST_SCREENSHOTS names a folder, pictures of it go
        there, light and dark.
        """
        for size, width in WIDTHS.items():
            for theme in ("light", "dark") if PICTURES else ("light",):
                self.show_as(width, HEIGHT, theme)
                fits = "return document.documentElement.scrollWidth <= window.innerWidth"
                assert self.driver.execute_script(fits), f"{name} is wider than {width} pixels"
                if PICTURES:
                    self._take(f"{name}-{size}-{theme}.png", width, theme)
        self.show_as(WIDTHS["wide"], HEIGHT, "light")

    def lines(self, selector: str) -> int:
        """On how many lines the first such element stands on a narrow screen."""
        self.show_as(WIDTHS["narrow"], HEIGHT, "light")
        found = self.driver.execute_script("return arguments[0].getClientRects().length", self.find(selector))
        self.show_as(WIDTHS["wide"], HEIGHT, "light")
        return int(found)

    def _take(self, file: str, width: int, theme: str) -> None:
        tall = self.driver.execute_script("return document.documentElement.scrollHeight")
        self.show_as(width, min(max(HEIGHT, tall), 4000), theme)
        assert self.driver.save_screenshot(str(Path(str(PICTURES), file)))

    def show_as(self, width: int, height: int, theme: str) -> None:
        """Changes the size of the window and the theme, without loading the page again."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def _is_gone(element: Any) -> bool:
    try:
        element.is_enabled()
    except StaleElementReferenceException:
        return True
    except WebDriverException as error:
        # asked in the very moment of the change, Chromium has no better word for the same
        if "does not belong to the document" not in str(error):
            raise
        return True
    return False


@contextmanager
def chromium(site: str, *flags: str) -> Iterator[Browser]:
    """A fresh one, with these flags too. Where it is not installed the test is left out, but in CI it fails."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        reason = "chromium and chromedriver (Debian: chromium, chromium-driver) are needed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="sesq-chromium-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(programs[0])
        for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options, Service(str(programs[1])))
        try:
            yield Browser(driver, site)
        finally:
            driver.quit()
