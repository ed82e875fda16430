"""What is said of a site over the snapshots: plain data between the numbers (growth, trend) and the words."""

from dataclasses import dataclass, field
from enum import Enum

from runner.analysis.sites import Site
from runner.analysis.wording import size_text, span_text
from runner.model import FindingKind, Frame, Recording, TimeUnit


class Shape(Enum):
    """What a row does."""

    GROWING = "growing"
    PLATEAU = "plateau"  # rose, and has levelled off
    UNDECIDED = "undecided"  # rises, but not such that it must go on
    STEADY = "steady"  # holds what it holds, or comes and goes
    FALLING = "falling"


@dataclass(slots=True)
class Trend:
    """What is said of one row: bytes, and the recording's unit of time.

    slope      bytes per unit of time
    first, last    bytes at the start and at the end (of the whole time, start-up included)
    rises, steps   in how many of the steps of the window it rose
    span       time from the start to the end
    by         the test that it passed: trend, troughs, steps, doubling; slowing, and rest (it rose until the program had no more
               to do), are why it is undecided
    """

    shape: Shape
    slope: float
    first: float
    last: float
    rises: int
    steps: int
    span: float
    confidence: float
    by: str = "trend"


@dataclass(slots=True)
class Growing:
    """One site of one recording that grows: bytes over the run, bytes per unit of time, and the stack that holds most."""

    recording: Recording
    kind: FindingKind
    site: Site | None
    stack_id: int | None
    frame: Frame | None
    trend: Trend
    bytes: int
    blocks: int | None
    series: list[tuple[float, int]]
    evidence: str
    confidence: float


@dataclass(slots=True)
class Standing:
    """A site that holds memory without growing: for notes.

    left   its bytes in the last detailed snapshot, where another is meant by `bytes`
    """

    site: Site
    bytes: int
    trend: Trend | None = None
    left: int | None = None


@dataclass(slots=True)
class Growth:
    """What the snapshots of one recording say.

    unjudged   why nothing can be said of growth; None where it was judged
    risen_elsewhere   bytes by which sites rose that are not growing
    total      live bytes when they were most
    left       live bytes in the last detailed snapshot, where they were most in another
    at_exit    that snapshot is of the end of the process
    unlisted   how many more sites grow than are listed
    """

    recording: Recording
    unjudged: str | None
    span: float = 0.0
    snapshots: int = 0
    growing: list[Growing] = field(default_factory=list)
    plateaus: list[Standing] = field(default_factory=list)
    undecided: list[Standing] = field(default_factory=list)
    largest: list[Standing] = field(default_factory=list)
    risen_elsewhere: float = 0.0
    total: int = 0
    left: int | None = None
    at_exit: bool = False
    unlisted: int = 0
    total_grows: bool = False


def describe(trend: Trend, unit: TimeUnit) -> str:
    """The evidence for a trend, in figures that can be checked against the snapshots."""
    span = span_text(trend.span, unit)
    if trend.by == "doubling" and trend.shape is not Shape.GROWING:
        how = "doubled again and again, and may have settled after the last time"
    elif trend.by == "rest":
        how = "rose until the program came to rest"
    elif trend.by == "slowing":
        how = "rose ever more slowly"
    elif trend.by in ("doubling", "steps"):
        how = "rose in jumps and still does"
    elif trend.by == "troughs":
        how = f"its lowest value rose in each of {trend.steps + 1} stretches of the last two thirds"
    else:
        how = f"rose in {trend.rises} of {trend.steps} steps of the last two thirds"
    return f"{how}, from {size_text(trend.first)} to {size_text(trend.last)} over {span}"
