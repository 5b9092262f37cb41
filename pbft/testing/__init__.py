"""Adversaries, a simulator and checkers for this library, and for services built on it."""
