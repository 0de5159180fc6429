"""Parts that are found and not registered: front ends and networks, of the package or from outside it."""

import functools
import importlib
import importlib.util
import inspect
import pkgutil
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from laennec.errors import LaennecError


def load_class(kind: str, package: str, base: type) -> Any:
    """Find a subclass of `base` by the name that a recipe gives it.

    `kind` is that of a class in a module of `package`, the name of an installed entry point of the group
    `package`, ``my_module:MyClass``, or ``path/to/file.py:MyClass``. LaennecError if there is no such class,
    or its module cannot be imported.
    """
    place, colon, name = str(kind).rpartition(":")
    if colon:
        found = getattr(_module(place), name, None)
        if not (inspect.isclass(found) and issubclass(found, base)):
            raise LaennecError(f"{place} has no {base.__name__} called {name}")
        return found
    known = classes(package, base)
    if kind in known:
        return known[kind]
    outside = {point.name: point for point in entry_points(group=package)}
    if kind in outside:
        return outside[kind].load()
    raise LaennecError(f"unknown kind {kind!r}; there are: {', '.join(sorted({*known, *outside}))}")


@functools.cache
def classes(package: str, base: type) -> dict[str, Any]:
    """Subclasses of `base` that have a `kind`, in the modules of a package, by their kind."""
    found = {}
    for entry in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{entry.name}")
        members: list[tuple[str, Any]] = inspect.getmembers(module, inspect.isclass)
        for _, own in members:
            if own.__module__ == module.__name__ and issubclass(own, base) and getattr(own, "kind", ""):
                found[own.kind] = own
    return found


def _module(place: str) -> ModuleType:
    """A module by its name, or by the path of its file."""
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        path = Path(place).expanduser().resolve()
        spec = importlib.util.spec_from_file_location(f"laennec_extension_{path.stem}", path)
        if spec is None or spec.loader is None or not path.is_file():
            raise LaennecError(f"no such file: {place}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except LaennecError:
        raise
    except Exception as error:  # whatever somebody's module does when it is imported
        raise LaennecError(f"{place} cannot be imported: {error}") from error
