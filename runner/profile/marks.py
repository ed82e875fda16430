"""What Annotated says of a value in a profile beyond its type: how it is written, its bounds. Read by the reader of YAML.

pydantic takes these marks by its protocol for annotations, __get_pydantic_core_schema__, and is not imported before it
asks for one: a profile that is known to be valid needs no pydantic.
"""

from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin


class NextToFile:
    """Marks, in Annotated[str, NextToFile()], a path that is relative to the file that it is written in. `~` is the home."""


class Written(NamedTuple):
    """What is text in YAML and something else in Python. `parse` raises ValueError; `show` writes text that it reads back.

    Without `show` the value itself is written.
    """

    parse: Callable[[str], Any]
    show: Callable[[Any], str] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def parsed(value: Any) -> Any:
            return self.parse(value) if isinstance(value, str) else value

        return core_schema.no_info_before_validator_function(parsed, handler(source))


class Within(NamedTuple):
    """The least and the most that a number may be; None for no bound."""

    least: float | None = None
    most: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import Field

        return handler(Annotated[source, Field(ge=self.least, le=self.most)])


class Checked(NamedTuple):
    """`check` returns the value that it is given, or another one to take instead, or raises ValueError with a sentence."""

    check: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


class Due(NamedTuple):
    """One of the types that may stand somewhere, with what Annotated says of it."""

    kind: Any
    marks: tuple[Any, ...]


def types_in(hint: Any, marks: tuple[Any, ...] = ()) -> Iterator[Due]:
    """The types that an annotation names, each with its marks."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *more = get_args(hint)
        yield from types_in(inner, (*marks, *more))
    elif origin in (Union, UnionType):
        for each in get_args(hint):
            yield from types_in(each, marks if each is not NoneType else ())
    else:
        yield Due(hint, marks)
