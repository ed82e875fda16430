"""One answer out of several tools: from cheap to dear until it is sure."""

from runner.hunt.course import Hunted, hunt
from runner.hunt.request import Hunt

__all__ = ["Hunt", "Hunted", "hunt"]
