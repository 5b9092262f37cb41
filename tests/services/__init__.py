"""Tests of the ready services."""
