"""What can be measured, what can be found and what is said of a run in the end: the words for it."""

from enum import StrEnum


class Metric(StrEnum):
    """What a backend can say. A metric that is missing means "cannot say", never 0."""

    LIVE_BYTES = "live_bytes"
    LIVE_BLOCKS = "live_blocks"
    ALLOCATED_BYTES = "allocated_bytes"  # cumulative since the start
    ALLOCATED_BLOCKS = "allocated_blocks"
    LEAKED_BYTES = "leaked_bytes"
    LEAKED_BLOCKS = "leaked_blocks"
    HEAP_EXTRA_BYTES = "heap_extra_bytes"  # what the allocator itself keeps beside live bytes
    STACK_BYTES = "stack_bytes"
    RSS_BYTES = "rss_bytes"
    PSS_BYTES = "pss_bytes"
    MAPPED_BYTES = "mapped_bytes"


class FindingKind(StrEnum):
    """What a finding says of its site; also what a backend `sees`."""

    LOST = "lost"
    GROWING = "growing"
    MAPPING_GROWTH = "mapping-growth"
    STACK_GROWTH = "stack-growth"
    SUSPECT = "suspect"  # only interior pointers reach it, and it is many blocks


class LossKind(StrEnum):
    """memcheck's four, as it names them."""

    DEFINITE = "definitely lost"
    INDIRECT = "indirectly lost"
    POSSIBLE = "possibly lost"
    REACHABLE = "still reachable"


class Verdict(StrEnum):
    """What is said of a whole run."""

    LEAKING = "leaking"
    GROWING = "growing"
    CLEAN = "clean"
    INCONCLUSIVE = "inconclusive"


class DoubtKind(StrEnum):
    """What a doubt bears on: what a tool can't rule out because of it."""

    RUN = "run"  # the evidence as a whole
    GROWTH = "growth"  # growth, of whatever: what is lost may be known all the same
    SITE = "site"  # whether one site, or live memory as a whole, goes on growing
