"""What every test has: hypothesis without deadlines, and the same examples in every run."""

import pytest
from hypothesis import settings

from tests.budget import Budget, budgeted

__all__ = ["budgeted"]

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


@pytest.fixture
def asyncio_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every event loop of the test looks for mistakes."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Examples and pages have a budget together."""
    config.pluginmanager.register(Budget())
