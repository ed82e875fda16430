"""One module per native tool: plan() and read(). The modules are discovered: there is no list to edit."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from runner.backends.base import Backend, ToolOptions


@cache
def names() -> tuple[str, ...]:
    """The names of all backends, sorted. Imports none of them."""
    found = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in found if name != "base" and not name.startswith("_")))


@cache
def get(name: str) -> Backend:
    """The backend of that name. Raises KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    module = import_module(f"{__name__}.{name}")
    classes = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Backend) and each.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise TypeError(f"{module.__name__} must define one Backend, it has {len(classes)}")
    backend: Backend = classes[0]()
    return backend


def options_for(name: str) -> type[ToolOptions] | None:
    """The model of a backend's options, for profile.load(); None where there is no such backend."""
    return get(name).Options if name in names() else None
