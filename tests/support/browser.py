"""A headless Chromium for tests of the web console."""

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
    """One window. `site`: the console's URL."""

    def __init__(self, driver: webdriver.Chrome, site: str) -> None:
        self.driver = driver
        self.site = site

    def open(self, path: str) -> None:
        """Opens a page of the default account, or a whole path."""
        self.driver.get(self.site + (path if path.startswith("/") else f"/accounts/default/{path}"))

    @property
    def text(self) -> str:
        """The text on the page."""
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def find(self, selector: str) -> Any:
        """Returns the first element for a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """Returns the texts of all such elements, at one moment: a page may replace them at any time."""
        script = "return [...document.querySelectorAll(arguments[0])].map(each => each.innerText.trim())"
        return [str(each) for each in self.driver.execute_script(script, selector)]

    def fill(self, **fields: str) -> None:
        """Types values into the fields with these names."""
        for name, value in fields.items():
            field = self.find(f"main [name='{name}']")
            field.clear()
            field.send_keys(value)

    def press(self, label: str) -> None:
        """Presses the button with this label; returns when the next page is loaded."""
        before = self.driver.find_element(By.TAG_NAME, "html")
        self.driver.find_element(By.XPATH, f"//main//button[normalize-space()='{label}']").click()
        self.until(lambda: _is_gone(before), f"the page after {label}")

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Waits until `holds` returns something true, and returns that."""
        wait = WebDriverWait(
            self.driver, PATIENCE_SECONDS, 0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        return wait.until(lambda _: holds(), f"not within {PATIENCE_SECONDS} s: {what}")

    def until_says(self, words: str) -> None:
        """Waits until these words are on the page, without loading it again."""
        self.until(lambda: words in self.text, f"{words!r} in {self.text[:2000]!r}")

    def fetched(self) -> set[str]:
        """Returns the URLs that were loaded since the last call, without the browser's own pages and `data:` URLs."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        loaded = {e["params"]["response"]["url"] for e in events if e["method"] == "Network.responseReceived"}
        return {url for url in loaded if not url.startswith(("chrome://", "data:"))}

    def problems(self) -> list[str]:
        """Returns the browser's errors since the last call: errors in scripts, and what the content policy forbids."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]

    def look(self, name: str) -> None:
        """Asserts that the page fits its width, wide and narrow.

        If SESQ_TEST_SCREENSHOTS names a folder, it saves pictures of the page there, light and dark.
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
        """Returns how many lines the first such element takes on a narrow screen."""
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
        # what Chromium says if it is asked just while the page changes
        if "does not belong to the document" not in str(error):
            raise
        return True
    return False


@contextmanager
def chromium(site: str, *flags: str) -> Iterator[Browser]:
    """Starts a new Chromium with these flags. If it is not installed, skips the test; in CI, fails it."""
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
