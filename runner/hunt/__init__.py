"""One answer out of several tools: from cheap to dear until it is sure."""

from runner.hunt.course import Hunted, hunt

__all__ = ["Hunted", "hunt"]
