"""Scripted scenarios: sentences that read like the scenario, made a plan and expectations."""

from pbft.testing.scenario.playing import Played, play
from pbft.testing.scenario.reading import Scenario, ScenarioError, read

__all__ = ["Played", "Scenario", "ScenarioError", "play", "read"]
