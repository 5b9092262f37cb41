"""A real browser, driven over a pipe: Debian's chromium without a window.

with chromium() as browser:
    page = browser.open(Path("page.html"))
    page.click(100, 200)
    assert page.complaints == []
"""

import base64
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

PROGRAM = "chromium"
FLAGS = (  # no sandbox: it shows our own page, and containers have no namespaces for one
    *("--no-sandbox", "--disable-dev-shm-usage"),
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--remote-debugging-pipe"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
READING, WRITING = 3, 4
"""The descriptors by which chromium hears and answers."""


class Page:
    """One page in the browser. `complaints`: errors of its console and of its policy."""

    def __init__(self, wire: "Wire", session: str) -> None:
        self._wire = wire
        self._session = session
        self.complaints: list[str] = []

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command of the protocol; what comes in between is looked at."""
        number = self._wire.send(method, parameters, self._session)
        while True:
            message = self._wire.receive()
            self._hear(message)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _hear(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.complaints.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"]["text"])

    def value(self, expression: str) -> Any:
        """What an expression of the page gives."""
        result = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def settle(self) -> None:
        """Until what was asked for is drawn."""
        frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        self.value(f"{frame}.then(() => 1)")

    def click(self, x: float, y: float) -> None:
        """The left button, at a place of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.ask("Input.dispatchMouseEvent", **event)
        self.settle()

    def press(self, key: str) -> None:
        """One key."""
        text = {"text": key} if len(key) == 1 else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def scheme(self, name: str) -> None:
        """ "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.ask("Emulation.setEmulatedMedia", features=features)
        self.settle()

    def screenshot(self, path: Path) -> None:
        """As a PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))


class Wire:
    """JSON objects with a zero byte after each."""

    def __init__(self, reading: int, writing: int) -> None:
        self._from = os.fdopen(reading, "rb", buffering=0)
        self._to = os.fdopen(writing, "wb", buffering=0)
        self._held = b""
        self._sent = 0

    def send(self, method: str, parameters: object, session: str | None = None) -> int:
        """The number that its answer will have."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        self._to.write(msgspec.json.encode(message) + b"\0")
        return self._sent

    def receive(self) -> dict[str, Any]:
        """The next one."""
        while b"\0" not in self._held:
            data = self._from.read(1 << 16)
            assert data, "the browser is gone"
            self._held += data
        one, _, self._held = self._held.partition(b"\0")
        message: dict[str, Any] = msgspec.json.decode(one)
        return message

    def answer(self, number: int) -> dict[str, Any]:
        """Of a command, whatever comes in between."""
        while (message := self.receive()).get("id") != number:
            pass
        assert "result" in message, message
        result: dict[str, Any] = message["result"]
        return result

    def close(self) -> None:
        self._from.close()
        self._to.close()


class Browser:
    """One that runs."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def open(self, path: Path, width: int = 1400, height: int = 1000) -> Page:
        """The page in that file, once it is loaded and drawn."""
        wire, blank = self._wire, {"url": "about:blank"}
        target = wire.answer(wire.send("Target.createTarget", blank))["targetId"]
        attach = {"targetId": target, "flatten": True}
        session = wire.answer(wire.send("Target.attachToTarget", attach))["sessionId"]
        page = Page(wire, session)
        for domain in ("Page", "Runtime", "Log"):
            page.ask(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        page.ask("Emulation.setDeviceMetricsOverride", **size)
        page.ask("Page.navigate", url=path.resolve().as_uri())
        while page.value("document.readyState + location.protocol") != "completefile:":
            pass
        page.settle()
        return page


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start it, with a profile of its own, and stop it in the end."""
    program = shutil.which(PROGRAM)
    assert program, f"{PROGRAM} is not installed: apt-get install {PROGRAM}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        hears, to = os.pipe()
        heard, answers = os.pipe()

        def descriptors() -> None:
            high = os.dup(answers)
            os.dup2(hears, READING)
            os.dup2(high, WRITING)
            for each in (READING, WRITING):
                os.set_inheritable(each, True)

        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            close_fds=False,
            preexec_fn=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(hears)
        os.close(answers)
        wire = Wire(heard, to)
        try:
            yield Browser(wire)
            wire.send("Browser.close", {})
            process.wait(10)
        finally:
            process.kill()
            process.wait()
            wire.close()
