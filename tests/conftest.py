"""What every test has: hypothesis without deadlines, and the same examples in every run."""

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


@pytest.fixture
def asyncio_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every event loop of the test looks for mistakes."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
