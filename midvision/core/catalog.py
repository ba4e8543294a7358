"""Name -> declaration, found by walking one folder of modules and taking one constant from each."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from midvision.core.errors import UsageError, nearest


def discover(package: ModuleType, constant: str) -> dict[str, Any]:
    """All declarations called `constant` in the modules of `package`, by their `.name`.

    A constant may be one declaration or a tuple of them. Raises on two equal names.
    """
    found: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda entry: entry.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        value = getattr(module, constant, ())
        for declared in value if isinstance(value, tuple) else (value,):
            if declared.name in found:
                both = f"{origin[declared.name]} and {module.__name__}"
                raise RuntimeError(f"{constant} {declared.name!r} is declared twice, in {both}")
            found[declared.name] = declared
            origin[declared.name] = module.__name__
    return found


def pick(kind: str, name: str, known: dict[str, Any]) -> Any:
    """The declaration called `name`; otherwise an error with the nearest names."""
    if name not in known:
        raise UsageError(f"There is no {kind} called {name!r}.", nearest(name, known), f"See: midvision list {kind}s")
    return known[name]


def expand(kind: str, patterns: Iterable[str], known: dict[str, Any]) -> list[str]:
    """Names matching comma lists and globs, in the order asked, without repeats."""
    import fnmatch

    names: dict[str, None] = {}
    for pattern in (part.strip() for text in patterns for part in text.split(",")):
        hits = [name for name in known if fnmatch.fnmatchcase(name, pattern)] if pattern else []
        if not hits:
            pick(kind, pattern, known)
        names.update(dict.fromkeys(hits))
    return list(names)
