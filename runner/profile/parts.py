"""What a profile consists of: plain dataclasses, whose annotations say what pydantic holds a file against.

They are not changed once they are made: dataclasses.replace() makes another. (A frozen dataclass takes twice as long to
define, and the launch waits for it.)
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, dataclass_transform

from runner.plan import StopPlan, Trigger
from runner.profile.marks import Checked, Within, Written
from runner.quantities import format_duration, format_signal, parse_duration, parse_keep, parse_size, parse_stop_signal, shown

SHORTEST_INTERVAL = 0.01  # seconds
SMALLEST_STEP = 4096  # bytes: a page
NO_OTHER_KEYS = {"extra": "forbid"}  # pydantic's setting for a class


def _at_least(least: float, said: str) -> Checked:
    def check(value: float | None) -> float | None:
        if value is not None and value < least:
            raise ValueError(f"is too small: at least {said}")
        return value

    return Checked(check)


def _matching(pattern: str, what: str) -> Checked:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.DOTALL):
            raise ValueError(f"{shown(text)} is not {what}")
        return text

    return Checked(check)


def _compilable(pattern: str) -> str:
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{shown(pattern)} is no regular expression: {error}") from None
    if not pattern:
        raise ValueError("an empty pattern is found in everything")
    return pattern


Duration = Annotated[float, Written(parse_duration, format_duration), Within(0)]
"""Seconds, written 500ms, 30s, 5m or 1h."""

Size = Annotated[int, Written(parse_size), Within(0)]
"""Bytes, written 4096, 64K, 64M or 1G."""

StopSignal = Annotated[int, Written(parse_stop_signal, format_signal), Within(1, 64)]
Name = Annotated[str, _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name: up to 64 letters, digits, dots, dashes")]
Text = Annotated[str, _matching(r"[^\0]*", "a text that a program can be given: it holds a NUL")]
Word = Annotated[str, _matching(r"[^\0]*\S[^\0]*", "a name or a pattern")]
Pattern = Annotated[str, Checked(_compilable)]
VariableName = Annotated[str, _matching(r"[^\0=]+", "the name of an environment variable")]


@dataclass_transform(kw_only_default=True)
@dataclass(kw_only=True)
class ToolOptions:
    """Base of each backend's options, named as the native tool names them. Unknown keys are errors.

    A subclass lists its options as annotated names with defaults, as a dataclass does, and becomes one.
    """

    __pydantic_config__: ClassVar[Any] = NO_OTHER_KEYS

    def __init_subclass__(cls) -> None:
        dataclass(kw_only=True)(cls)

    def given(self) -> dict[str, Any]:
        """The options that have a value, by name, in the order in which the class lists them."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: value for name, value in values if value is not None}


OptionsFor = Callable[[str], type[ToolOptions] | None]


@dataclass(kw_only=True)
class Snapshots:
    """When to take snapshots while the program runs.

    every      seconds between two; None for none on a timer
    at_exit    one more before leakrun stops the program
    rss_step   one for each that many bytes that the resident size grows; None for none
    adaptive   start denser than `every`, and grow sparser as the run grows long
    keep       which of a process's files stay: "all", the last so many, or "log", ever fewer with age
    """

    __pydantic_config__: ClassVar[Any] = NO_OTHER_KEYS

    every: Annotated[Duration | None, _at_least(SHORTEST_INTERVAL, "10ms")] = None
    at_exit: bool = True
    rss_step: Annotated[Size | None, _at_least(SMALLEST_STEP, "4096 bytes, a page")] = None
    adaptive: bool = False
    keep: Annotated[int | str, Written(parse_keep)] = "all"


@dataclass(kw_only=True)
class Stop:
    """How the program is ended: the signal's number, and the seconds it then has to write what it must.

    kill_after  seconds until it is killed where it has ended neither on the signal nor on SIGINT; None: only where somebody asks
    """

    __pydantic_config__: ClassVar[Any] = NO_OTHER_KEYS

    signal: StopSignal = 15
    grace: Duration = 30.0
    kill_after: Duration | None = None


@dataclass(kw_only=True)
class Profile:
    """A validated profile: what `extends` and overrides name is already in it.

    name      the file's name without its ending, where the file gives none
    options   an instance of the backend's Options
    args      passed to the native tool as they are, behind the options
    env       set for the program
    wrappers  functions of the project that only wrap an allocator: their caller is blamed
    redact    regular expressions: an argument or NAME=value that one is found in is kept out of the run directory
    """

    __pydantic_config__: ClassVar[Any] = NO_OTHER_KEYS

    name: Name
    backend: str
    description: str = ""
    options: ToolOptions
    args: tuple[Text, ...] = ()
    env: dict[VariableName, Text] = field(default_factory=dict)
    snapshots: Snapshots = field(default_factory=Snapshots)
    stop: Stop = field(default_factory=Stop)
    wrappers: tuple[Word, ...] = ()
    redact: tuple[Pattern, ...] = ()

    def stop_plan(self, *, streams: bool = False) -> StopPlan:
        """`stop` as the supervisor takes it. `streams`: the tool writes all the time, not only at snapshots and at the end."""
        return StopPlan(self.stop.signal, self.stop.grace, self.stop.kill_after, streams)

    def timed(self, trigger: Trigger) -> Trigger:
        """The trigger at the moments that `snapshots` says."""
        when = self.snapshots
        return trigger._replace(every=when.every, adaptive=when.adaptive, rss_step=when.rss_step, before_stop=when.at_exit)
