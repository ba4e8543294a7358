"""What a published benchmark says of itself, and how its official files become a prepared copy.

A set is one file in `data/sets/`: its `DataCard` carries a `Benchmark`. `plan` looks at what a person
has (`Shelf`) and says which files make up the copy; `prepare.py` carries that out; `manifest.py` opens
the copy; `decode` proves one image of it. Importing this loads neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midvision.data.archives import Place, Shelf

if TYPE_CHECKING:
    from midvision.data.manifest import Copy


@dataclass(frozen=True, slots=True)
class Source:
    """One officially published file. `file` may be a pattern, with a folder, where there are many parts.

    `checksum` is what a publisher or a reference states (`md5:...`), shown to people, never required.
    """

    file: str
    holds: str
    size: str = ""
    checksum: str = ""
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Kept:
    """A published file used as it is: unpacked from an archive, left in place in an extracted folder.

    `name` is its name in the copy, `member` its name below the place.
    """

    name: str
    place: Place
    member: str


@dataclass(frozen=True, slots=True)
class Made:
    """A conversion: `make(*arguments)` gives the content of exactly the files `names`.

    It returns a mapping, or yields pairs of name and content, where they are too large to be held at once.
    It runs in another process, so `make` is a module's function and the arguments can be pickled
    (a `Place` can). `bytes` is an estimate of what it writes, for the look at the free space. With `reads`,
    the one published file it needs, its bytes come before the arguments; so it can be read out of a
    compressed tar too.
    """

    names: tuple[str, ...]
    make: Callable[..., Mapping[str, bytes] | Iterable[tuple[str, bytes]]]
    arguments: tuple[Any, ...] = ()
    bytes: int = 0
    reads: tuple[Place, str] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What makes up a copy. `splits` are ids per list name; `facts` is whatever else must be on record.

    `places` are all that was read to make the plan, for the manifest's list of sources.
    """

    work: tuple[Kept | Made, ...]
    splits: Mapping[str, tuple[str, ...]]
    places: tuple[Place, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What `midvision data info` prints, and the set's own functions.

    `counts` are the official sizes of lists in `Plan.splits`; another size is refused unless a person
    asks for a subset. `decode(copy, id)` reads one id of `Plan.splits` with its truth and raises
    `DataError` where it is unusable. `decisions` says per topic what the two protocols do. `parts` are the
    lists that a person may ask for alone (`prepare --only`); `plan` then finds them in `shelf.only`, keeps
    all lists and leaves out the files of the others.
    """

    page: str
    citation: str
    size: str
    layout: tuple[str, ...]
    sources: tuple[Source, ...]
    decisions: Mapping[str, str]
    counts: Mapping[str, int]
    plan: Callable[[Shelf], Plan]
    decode: Callable[[Copy, str], None]
    notes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
