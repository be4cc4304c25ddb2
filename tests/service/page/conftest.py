"""The page of the service in Debian's Chromium, against a real service."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE_S

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}


class Sight:
    """A page, with what it complained of and what it asked of other places."""

    def __init__(self, page: Any, home: str) -> None:
        self.page = page
        self.home = home
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if not url.startswith((self.home, "blob:", "data:")):
            self.foreign.append(url)

    def go(self, view: str) -> None:
        """To a view, by its address."""
        self.page.evaluate("view => { location.hash = `#/${view}`; }", view)
        name = view.partition("?")[0]
        self.page.wait_for_selector(f"#main[data-ready='{name}']", state="attached")

    def wait(self, claim: str, *, inside: Any = None) -> None:
        """Wait until a JavaScript expression is true, on the page or in a frame of it.

        The page's policy forbids polling in there.
        """
        where, end = inside or self.page, time.monotonic() + PATIENCE_S
        while not where.evaluate(f"() => Boolean({claim})"):
            assert time.monotonic() < end, f"{claim} did not come true: {self.complaints}"
            time.sleep(0.2)

    def viewer(self) -> Any:
        """The viewer inside a job's page, once it has drawn its scene."""
        frame = self.page.locator(".view-frame iframe").element_handle().content_frame()
        self.wait("window.fovea && fovea.ready", inside=frame)
        return frame

    def drop(self, *files: Path) -> None:
        """Drop files anywhere on the page, as a hand would."""
        sent = [{"name": file.name, "bytes": list(file.read_bytes())} for file in files]
        self.page.evaluate(
            """files => {
              const transfer = new DataTransfer();
              for (const { name, bytes } of files)
                transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
              const about = { dataTransfer: transfer, bubbles: true, cancelable: true };
              document.body.dispatchEvent(new DragEvent("dragover", about));
              document.body.dispatchEvent(new DragEvent("drop", about));
            }""",
            sent,
        )

    def position(self) -> list[float]:
        """Where the camera stands in the scene."""
        return self.page.evaluate("() => fovea.view.camera.position.toArray()")


@pytest.fixture
def look(chromium: Any) -> Iterator[Callable[..., Sight]]:
    """Open the page; one browser profile a call."""
    with ExitStack() as opened:

        def open_page(
            home: str, *, size: str = "desktop", theme: str = "light", lang: str = "en"
        ) -> Sight:
            width, height = SIZES[size]
            profile = chromium.new_context(
                viewport={"width": width, "height": height},
                has_touch=size == "phone",
                color_scheme=theme,
                locale="zh-CN" if lang == "zh" else "en-GB",
                accept_downloads=True,
            )
            opened.callback(profile.close)
            sight = Sight(profile.new_page(), home)
            sight.page.goto(f"{home}/", timeout=PATIENCE_S * 1000)
            sight.page.wait_for_selector("html[data-ready]", state="attached")
            return sight

        yield open_page
