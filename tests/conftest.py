"""What every test has: hypothesis without deadlines, and the same examples in every run."""

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")
