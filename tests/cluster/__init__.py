"""Scenarios over real replica processes whose network and processes misbehave."""
