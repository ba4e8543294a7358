"""Weights' files on this machine: found in the libraries' own caches, fetched only where the network may be used."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from midvision.core.errors import DataError, UsageError
from midvision.core.places import cache_dir, write_text
from midvision.core.progress import Progress, listener
from midvision.core.settings import stable_hash
from midvision.zoo.card import Card, Source, known

if TYPE_CHECKING:
    from midvision.encoders.timm_weights import WeightSource
    from midvision.zoo.fetch_http import Unfetchable

# Publishers that end a file's name in the first digits of its SHA-256.
_HASH_IN_NAME = ("download.pytorch.org", "download.openmmlab.com")
_SHORTEST_HASH = 8
_HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file that a person brought for a card, and what is known of the published one."""

    path: Path
    sha256: str
    published: str

    @property
    def matches(self) -> bool | None:
        """None where the published file's hash is not known."""
        return self.sha256.startswith(self.published) if self.published else None

    def as_dict(self) -> dict[str, str | bool | None]:
        return {"weights_sha256": self.sha256, "published_sha256": self.published or None, "as_published": self.matches}


def card_file(card: Card, progress: Progress | None = None) -> Path:
    """The published file of a card: from this machine, or fetched, checked and kept.

    A download with another hash than the card knows is refused. Raises `DataError` with the page to
    visit where the file cannot be had.
    """
    from midvision.zoo.fetch_http import Unfetchable, Wanted, download

    source = card_source(card)
    if source.repository:
        return hub_file(card.id, source.repository, [source.filename], page=source.page, sha256=published_sha256(card))
    path = card_place(card)
    if path.is_file():
        return _as_published(path, card.id, published_sha256(card) or _noted_sha256(path), page_of(source))
    problem = Unfetchable("offline", "the network may not be used (HF_HUB_OFFLINE)")
    for url in () if offline() else (source.url, *source.mirrors):
        try:
            return _noted(download(Wanted(url, path, published_sha256(card), card.id), progress or listener()), url)
        except Unfetchable as error:
            problem = Unfetchable(error.reason, f"{error.problem} at {url}")
    raise not_fetched(card.id, problem, page_of(source), path)


def card_source(card: Card) -> Source:
    """Where a card's file is published; `DataError` where nobody publishes it."""
    source = known(card.source, Source())
    if not (source.url or (source.repository and source.filename)):
        raise DataError(
            f"No public file of {card.id} is known.",
            "It needs a file that you have." + (f" See: {source.page}" if source.page else ""),
            f"Give it: -m {card.id} --weights FILE",
        )
    return source


def card_place(card: Card) -> Path:
    """Where a card's file is, or would be, on this machine. Publishers reuse names, so the address counts too."""
    source = card_source(card)
    if source.repository:
        found = cached_hub_file(source.repository, [source.filename])
        return found or Path(_hub_folder()) / source.repository.partition("@")[0] / source.filename
    return cache_dir() / "weights" / f"{stable_hash(source.url)[:8]}-{_file_name(source.url)}"


def published_sha256(card: Card) -> str:
    """What is known of the published file's SHA-256: all of it, its first digits, or an empty text."""
    return known(card.sha256, "").lower() or hash_in_name(known(card.source, Source()).url)


def hash_in_name(url: str) -> str:
    """First digits of the SHA-256 where the publisher's file names end in them: `resnet50-0676ba61.pth`."""
    if urlsplit(url).hostname not in _HASH_IN_NAME:
        return ""
    digits = _file_name(url).partition(".")[0].rpartition("-")[2]
    right = len(digits) >= _SHORTEST_HASH and all(letter in "0123456789abcdef" for letter in digits)
    return digits if right else ""


def given_file(card: Card, path: str | Path) -> GivenFile:
    """A person's own file for a card. It is never refused for its hash: another one is a warning, and recorded."""
    from midvision.zoo.read import file_sha256

    path = Path(path).expanduser()
    given = GivenFile(path, file_sha256(path), published_sha256(card))
    if given.matches is False:
        warnings.warn(
            f"{path} is not the published file of {card.id}: its SHA-256 begins with {given.sha256[:8]}, "
            f"not {given.published[:8]}. It is used as it is, and the record says so.",
            stacklevel=2,
        )
    return given


def weights_path(name: str, source: WeightSource, progress: Progress | None = None) -> Path:
    """The file behind `source`; `name` is the id that errors speak of."""
    if source.repository:
        return hub_file(name, source.repository, source.filenames)
    return url_file(name, source.url, progress)


def hub_file(
    name: str,
    repository: str,
    filenames: Sequence[str],
    *,
    page: str = "",
    sha256: str = "",
) -> Path:
    """The first of `filenames` that a repository `ORG/NAME[@revision]` of the Hugging Face hub has.

    `sha256`: as much as is known of the file's hash; another file is refused.
    """
    page = page or f"{_HUB}/{repository.partition('@')[0]}"
    found = cached_hub_file(repository, filenames)
    if found is None:
        from midvision.zoo.fetch_http import Unfetchable

        try:
            if offline():
                raise Unfetchable("offline", "the network may not be used (HF_HUB_OFFLINE)")
            found = _from_hub(repository, filenames)
        except Unfetchable as error:
            raise not_fetched(name, error, page) from error
    return _as_published(found, name, sha256, page)


def _as_published(path: Path, name: str, sha256: str, page: str) -> Path:
    """A file from a cache, refused where it is known to be another one, or to have changed since it came."""
    from midvision.zoo.read import file_sha256

    if sha256 and not file_sha256(path).startswith(sha256):
        raise DataError(
            f"{path} is not the published file of {name}: its SHA-256 begins with {file_sha256(path)[:8]}.",
            f"It should begin with {sha256[:8]}. See {page}",
            f"Delete it and run: midvision models fetch {name}. To use it as it is, give it as --weights FILE.",
        )
    return path


def _from_hub(repository: str, filenames: Sequence[str]) -> Path:
    """The hub's own client resumes, tries again, checks, keeps, and shows bars of its own."""
    from huggingface_hub import errors, hf_hub_download

    from midvision.zoo.fetch_http import Unfetchable, first_line

    repository, _, revision = repository.partition("@")
    problem = Unfetchable("dead", "no file was asked for")
    for filename in filenames:
        try:
            return Path(hf_hub_download(repository, filename, revision=revision or None))
        except errors.GatedRepoError:
            raise Unfetchable("gated", "its publisher must grant access first") from None
        except errors.RepositoryNotFoundError:
            raise Unfetchable("gated", f"the hub shows no {repository} to this account") from None
        except errors.RemoteEntryNotFoundError:
            problem = Unfetchable("dead", f"{repository} has no {' or '.join(filenames)}")
        except errors.RevisionNotFoundError:
            raise Unfetchable("dead", f"{repository} has no revision {revision}") from None
        except errors.LocalEntryNotFoundError:
            raise Unfetchable("network", "the hub cannot be reached") from None
        except (errors.HfHubHTTPError, OSError, RuntimeError, ValueError) as error:
            raise Unfetchable("network", first_line(error)) from error
    raise problem


def cached_hub_file(repository: str, filenames: Sequence[str]) -> Path | None:
    """As `hub_file`, but never through the network."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repository, _, revision = repository.partition("@")
    try:
        for filename in filenames:
            found = try_to_load_from_cache(repository, filename, revision=revision or None)
            if isinstance(found, str):
                return Path(found)
    except HFValidationError as error:
        raise UsageError(f"{repository!r} is no hub repository.", "ORG/NAME is expected.") from error
    return None


def url_file(name: str, url: str, progress: Progress | None = None) -> Path:
    """The file of `url` in torch's own cache, where timm and torchvision look for it too."""
    from midvision.zoo.fetch_http import Unfetchable, Wanted, download

    path = torch_place(url)
    if path.is_file():
        return path
    try:
        if offline():
            raise Unfetchable("offline", "the network may not be used (HF_HUB_OFFLINE)")
        return download(Wanted(url, path, hash_in_name(url), name), progress or listener())
    except Unfetchable as error:
        raise not_fetched(name, error, url, path) from error


def torch_place(url: str) -> Path:
    """Where torch keeps the file of `url`."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / _file_name(url)


def offline() -> bool:
    """Whether the network may not be used, by the Hugging Face convention."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)


def page_of(source: Source) -> str:
    """What a person opens in a browser to get the file by hand."""
    from midvision.zoo.fetch_drive import is_drive, page

    if source.repository:
        return source.page or f"{_HUB}/{source.repository.partition('@')[0]}"
    return page(source.url) if is_drive(source.url) else source.page or source.url


def not_here(name: str, problem: str) -> DataError:
    known = name.startswith(("timm/", "torchvision/"))
    instead = f", or use random/{name.partition('/')[2].partition('.')[0]}" if known else ""
    return DataError(
        f"The weights of {name} are not on this machine and cannot be fetched: {problem}.",
        "They must be in the cache (HF_HOME, TORCH_HOME), or the network must be reachable.",
        f"Fetch them where there is a network (HF_HUB_OFFLINE unset), or give a file (--weights){instead}.",
    )


def not_fetched(name: str, error: Unfetchable, page: str, place: Path | None = None) -> DataError:
    """What stands in the way, the page to visit, and how to go on without the download."""
    ways = {
        "offline": f"Fetch it where the network may be used (midvision models fetch {name}), or",
        "gated": "Agree to its terms there (for the Hugging Face hub, set HF_TOKEN afterwards), or",
        "dead": "Look there for where it went,",
        "network": "Try again (what arrived is kept), or",
        "wrong file": "Look there whether the file was replaced,",
    }
    by_hand = f"get the file there in a browser and add --weights FILE to -m {name}"
    here = "are not on this machine and " if error.reason == "offline" else ""
    return DataError(
        f"The weights of {name} {here}cannot be fetched: {error.problem}.",
        f"They are published at {page}",
        f"{ways[error.reason]} {by_hand}" + (f", or save it as {place}." if place else "."),
    )


def _file_name(url: str) -> str:
    """The last part of the address; a Drive link has only an id."""
    from midvision.zoo.fetch_drive import drive_id, is_drive

    return f"{drive_id(url)}.pth" if is_drive(url) else urlsplit(url).path.rsplit("/", 1)[-1]


def _noted(path: Path, url: str) -> Path:
    """Write down, once, what was fetched: hashes of published files are known from the first download on."""
    from midvision.zoo.read import file_sha256

    note = _note_of(path)
    if not note.is_file():
        fetched_at = datetime.now(UTC).isoformat(timespec="seconds")
        facts = {"url": url, "sha256": file_sha256(path), "bytes": path.stat().st_size, "fetched_at": fetched_at}
        write_text(note, json.dumps(facts, indent=1) + "\n")
    return path


def _noted_sha256(path: Path) -> str:
    """The hash that was written down when the file was fetched; empty for a file that a person put there."""
    try:
        return str(json.loads(_note_of(path).read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.source.json")


def _hub_folder() -> str:
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)
