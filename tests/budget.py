"""The examples and the code of the pages take at most 90 seconds together, where the machine has
nothing else to do.

What else it does, and a slower processor, would make that a matter of luck. So before and after
each of them the same piece of work is timed as well, and the budget grows as that does. It never
shrinks: on a faster machine the waiting within the pages is as long as here. Where the work took
much longer than it should, disks and processes did too, in another measure: then nothing is judged.
"""

import hashlib
import time
from collections.abc import Callable, Iterator

import pytest

TOGETHER = ("tests/test_examples.py::", "tests/documentation/test_pages.py::")
SETTING_UP = "test_what_is_typed_comes_from_the_wheel_alone"
"""Makes the environment in which pages are typed, which is no part of them."""
BUDGET_SECONDS = 90.0
ROUNDS = 200_000
UNDISTURBED_SECONDS = 0.06
"""What the rounds take on one of the cores that `docs/performance.md` measures with."""


JUDGED_BELOW = 1.25
"""Times as long."""


def worked() -> float:
    """Seconds that the same work takes now."""
    began = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"as long", b"each time", ROUNDS)
    return time.perf_counter() - began


@pytest.fixture
def budgeted(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Whatever counts against the budget says how slow the machine is meanwhile."""
    record_property("worked", worked())
    yield
    record_property("worked", worked())


class Budget:
    """Adds up what the reports of a run say, whichever process ran the tests."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.worked: list[float] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of a test's setup, call and end."""
        if report.nodeid.startswith(TOGETHER) and SETTING_UP not in report.nodeid:
            self.spent += report.duration
            if report.when == "teardown":
                self.worked += [
                    float(str(v)) for name, v in report.user_properties if name == "worked"
                ]

    @property
    def slowness(self) -> float:
        """How many times as long the work took as it does undisturbed, at least once."""
        mean = sum(self.worked) / len(self.worked) if self.worked else UNDISTURBED_SECONDS
        return max(1.0, mean / UNDISTURBED_SECONDS)

    @property
    def granted(self) -> float:
        """In seconds, on a machine as slow as it was."""
        return BUDGET_SECONDS * self.slowness

    @property
    def exceeded(self) -> bool:
        """Whether they took too long, on a machine that had little else to do."""
        return self.spent > self.granted and self.slowness < JUDGED_BELOW

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A run that took too long has failed."""
        if self.exceeded and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Says so, and how much it was where any was spent."""
        if self.spent:
            told = f"examples and pages: {self.spent:.0f} s of {self.granted:.0f} s"
            told += f" (the machine is {self.slowness:.1f} times as slow)"
            terminalreporter.write_line(told + (": make them shorter" if self.exceeded else ""))
