"""The documentation does what it says: every block in it is typed, and the site is complete."""
