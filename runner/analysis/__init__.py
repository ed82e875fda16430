"""From recordings to an answer: blame, growth over snapshots, losses, and the verdict."""

from runner.analysis.verdict import Scope, conclude

__all__ = ["Scope", "conclude"]
