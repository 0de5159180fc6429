"""What must never happen in a page: errors in the console, exceptions, requests to other hosts."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request

from waiting import WAIT_S

# What Chromium writes while a page has no server, or one whose connections break.
AWAY = r"ERR_(INTERNET_DISCONNECTED|NETWORK|FAILED|INCOMPLETE)"


class Watch:
    """What went wrong in the pages that it follows."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._allowed: list[re.Pattern[str]] = []

    def allow(self, pattern: str) -> None:
        """Expect faults that match: Chromium writes an error for every answer from 400 on."""
        self._allowed.append(re.compile(pattern))

    def follow(self, page: Page) -> Page:
        """Note the faults of a page from now on, and wait for it as long as for all others."""
        page.set_default_timeout(1000 * WAIT_S)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("request", self._request)
        return page

    def unexpected(self) -> list[str]:
        return [fault for fault in self.faults if not any(known.search(fault) for known in self._allowed)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text} {message.location.get('url', '')}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "file") and parts.hostname != "127.0.0.1":
            self.faults.append(f"request to another host: {request.url}")
