"""From a model id to a frozen encoder, and to the key of what it computes. Importing this loads no torch."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError, EncoderError, UsageError, nearest
from midvision.core.settings import stable_hash
from midvision.zoo.card import Card, FromFile, FromLibrary, all_cards
from midvision.zoo.ids import CONTROL_TITLES, ORACLE_TITLES, ModelId, Record, inner_id, parse_id, static_records

if TYPE_CHECKING:
    from torch import Tensor, nn

    from midvision.core.features import ImageEncoder
    from midvision.encoders.encoder import Backbone
    from midvision.encoders.timm_backbone import Statistics


def load_model(
    model_id: str, weights: str | Path | None = None, random_init: bool = False, device: str = "cpu"
) -> ImageEncoder:
    """The encoder called `model_id`, frozen.

    `weights` is a checkpoint file that replaces the published one. `random_init` takes seeded random
    weights and never touches the network. Raises `DataError` where weights are not on this machine
    and cannot be fetched.
    """
    model, random_init = _understood(model_id, weights, random_init)
    if model.kind == "control":
        from midvision.encoders.controls import ControlEncoder

        return ControlEncoder(_control(model.name)).to(device)
    if model.kind == "python":
        made = _from_factory(model)
        move = getattr(made, "to", None)
        moved: ImageEncoder = move(device) if move else made
        return moved
    from midvision.encoders.encoder import Encoder
    from midvision.zoo.origin import weights_origin

    file = None if weights is None else Path(weights)
    name = f"random/{model.name}" if random_init and model.kind in ("card", "timm", "torchvision") else model_id
    backbone = _backbone(model, file, random_init)
    origin = weights_origin(model, file, random_init)
    return Encoder(backbone, _key(model, file, random_init), name, origin=origin).to(device)


def encoder_key(model_id: str, weights: str | Path | None = None) -> str:
    """Names what `load_model` would compute, without building a network (except for `python:` ids).

    Weights count by their bytes, so a published checkpoint must be on this machine or is fetched.
    """
    model, random_init = _understood(model_id, weights, random_init=False)
    return _key(model, None if weights is None else Path(weights), random_init)


def list_models(pattern: str | None = None) -> list[Record]:
    """Records with id, kind, source, needs, available and, for cards, their facts.

    timm's names are looked up only if asked by pattern.
    """
    records = static_records()
    if pattern is not None and pattern.startswith("timm/"):
        from midvision.encoders.timm_weights import timm_names

        found = sorted(timm_names(pretrained=True))
        needs = "its weights, from the cache or the network"
        records += [
            {"id": f"timm/{name}", "kind": "timm", "source": "timm", "needs": needs, "available": True}
            for name in found
        ]
    return records


def _understood(model_id: str, weights: str | Path | None, random_init: bool) -> tuple[ModelId, bool]:
    """The id taken apart, and whether weights are random; `random/ID` is a listed model without training."""
    model = parse_id(model_id)
    if model.kind == "random" and model.name in all_cards():
        model, random_init = parse_id(model.name), True
    _check_wishes(model, weights, random_init)
    return model, random_init


def _key(model: ModelId, weights: Path | None, random_init: bool) -> str:
    """Architecture, and checksum of the weights (or, for random ones, what decides them)."""
    if model.kind == "card":
        return _card_key(_card(model), model, weights, random_init)
    if model.kind == "control":
        from midvision.encoders.controls import control_key

        return control_key(_control(model.name))
    if model.kind == "python":
        return _factory_key(model)
    if random_init or model.kind == "random":
        return stable_hash("random", _checked_arch(model), *_library_versions(model))
    if model.kind == "file" or weights is not None:
        from midvision.zoo.read import file_sha256

        arch, path = (model.options.get("arch", ""), Path(model.name)) if weights is None else (model.name, weights)
        options = (model.options.get("prefix", ""), model.options.get("pixels", ""), model.kind)
        return stable_hash("file", arch, file_sha256(path.expanduser()), *options)
    return stable_hash(model.kind, model.name, _published_sha256(model))


def _checked_arch(model: ModelId) -> str:
    """The architecture's name where timm or torchvision knows it; a name of both is timm's."""
    if model.kind in ("transformers", "hf-hub"):
        return model.text
    from midvision.encoders import timm_weights, torchvision_backbone

    if not torchvision_backbone.is_torchvision(model.name):
        timm_weights.check_timm_name(model.name)
    return model.name


def _library_versions(model: ModelId) -> list[str]:
    """A library may change how it draws weights."""
    names = ("transformers",) if model.kind == "transformers" else ("timm", "torchvision")
    return [importlib.metadata.version(name) for name in names]


def _published_sha256(model: ModelId) -> str:
    from midvision.zoo.read import file_sha256

    if model.kind != "transformers":
        return file_sha256(_published_file(model))
    from midvision.encoders.hf_backbone import weights_file
    from midvision.zoo.fetch import not_here

    found = weights_file(model.name)
    if found is None:
        raise not_here(model.text, "no weights were found under that name")
    return file_sha256(found)


def _published_file(model: ModelId) -> Path:
    """The weights of timm, the hub or torchvision, fetched if need be."""
    from midvision.zoo.fetch import url_file, weights_path

    if model.kind == "torchvision":
        from midvision.encoders.torchvision_backbone import torchvision_url

        return url_file(model.text, torchvision_url(model.name))
    from midvision.encoders.timm_weights import weight_source

    return weights_path(model.text, weight_source(_timm_name(model)))


def _card(model: ModelId) -> Card:
    from midvision.zoo.open_card import check_usable

    card = all_cards()[model.name]
    check_usable(card)
    return card


def _card_key(card: Card, model: ModelId, weights: Path | None, random_init: bool) -> str:
    from midvision.zoo.open_card import library_key, network_key
    from midvision.zoo.read import file_sha256

    if not isinstance(card.route, FromFile):
        return library_key(card, _key(inner_id(card), weights, random_init))
    key = network_key(card, card.route)
    if random_init:
        return stable_hash("random", key, card.id, *_library_versions(model))
    choice = model.options.get("weights", card.default_weights)
    return stable_hash("card", key, card.route.layout, choice, file_sha256(_card_weights(card, weights)))


def _card_weights(card: Card, weights: Path | None) -> Path:
    """A person's file, else the published one."""
    from midvision.zoo.fetch import card_file

    return card_file(card) if weights is None else weights.expanduser()


def _card_backbone(card: Card, model: ModelId, weights: Path | None, random_init: bool) -> Backbone:
    from midvision.zoo.open_card import open_file, open_untrained, with_card

    if not isinstance(card.route, FromFile):
        return with_card(_backbone(inner_id(card), weights, random_init), card)
    if random_init:
        return with_card(open_untrained(card, card.route), card)
    path = _card_weights(card, weights)
    return with_card(open_file(card, card.route, path, model.options.get("weights", "")), card)


def _backbone(model: ModelId, weights: Path | None, random_init: bool) -> Backbone:
    if model.kind == "card":
        return _card_backbone(_card(model), model, weights, random_init)
    if model.kind == "transformers":
        from midvision.encoders.hf_backbone import open_transformers

        return open_transformers(model.name, random_init=random_init)
    from midvision.encoders import timm_weights, torchvision_backbone

    if weights is not None:
        return _from_file(weights, model.name, "", None)
    if model.kind == "file":
        arch = model.options.get("arch")
        if not arch:
            raise UsageError(
                f"Model id {model.text!r} does not say what network the file belongs to.",
                "An architecture of timm is needed.",
                f"Write file:{model.name}?arch=resnet50",
            )
        return _from_file(Path(model.name), arch, model.options.get("prefix", ""), _statistics(model))
    if model.kind == "hf-hub" and random_init:
        return timm_weights.open_random(_hub_architecture(model))
    if model.kind == "random" or random_init:
        arch = _checked_arch(model)
        known = timm_weights.is_timm(arch)
        return timm_weights.open_random(arch) if known else torchvision_backbone.open_torchvision_random(arch)
    path = _published_file(model)
    if model.kind == "torchvision":
        from midvision.zoo.fit import fit_state
        from midvision.zoo.read import read_checkpoint

        content = read_checkpoint(path)
        return torchvision_backbone.open_torchvision(model.name, lambda wanted: fit_state(content, wanted, str(path)))
    return _published_timm(model, path)


def _published_timm(model: ModelId, path: Path) -> Backbone:
    """timm reads its own file, renaming as it knows; what its readers raise on damage becomes one sentence."""
    from pickle import UnpicklingError

    from safetensors import SafetensorError

    from midvision.encoders.timm_weights import open_pretrained

    try:
        return open_pretrained(_timm_name(model))
    except (EOFError, KeyError, OSError, RuntimeError, ValueError, UnpicklingError, SafetensorError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise DataError(
            f"The weights of {model.text} in {path} cannot be loaded: {reason}.",
            "A whole file as published is expected.",
            "Delete it and let it be fetched again.",
        ) from error


def _hub_architecture(model: ModelId) -> str:
    """What a hub repository says of its network, if its description is in the local cache."""
    from midvision.zoo.fetch import cached_hub_file, not_here

    found = cached_hub_file(model.name, ["config.json"])
    if found is None:
        raise not_here(model.text, "the description of its architecture is not in the local cache")
    return str(json.loads(found.read_text(encoding="utf-8"))["architecture"])


def _from_file(path: Path, arch: str, prefix: str, statistics: Statistics | None) -> Backbone:
    from midvision.encoders.timm_weights import open_with_tensors, renamed
    from midvision.zoo.fit import fit_state
    from midvision.zoo.read import read_checkpoint

    content = read_checkpoint(path.expanduser())

    def fit(network: nn.Module) -> dict[str, Tensor]:
        return fit_state(content, network.state_dict(), str(path), prefix, lambda table: renamed(network, table))

    return open_with_tensors(arch, fit, statistics)


def _statistics(model: ModelId) -> Statistics:
    """ImageNet's unless the id says otherwise: timm's default for an architecture belongs to its own weights."""
    from midvision.encoders.plan import PIXEL_STATS

    wish = model.options.get("pixels", "imagenet")
    if wish not in PIXEL_STATS:
        raise UsageError(f"Pixel statistics {wish!r} are unknown.", nearest(wish, PIXEL_STATS))
    return PIXEL_STATS[wish]  # type: ignore[index]


def _timm_name(model: ModelId) -> str:
    return f"hf-hub:{model.name}" if model.kind == "hf-hub" else model.name


def _control(name: str) -> str:
    if name in ORACLE_TITLES:
        raise UsageError(
            f"control/{name} is made from the truth of a data set.",
            "It cannot be loaded by itself.",
            "Give its id to midvision.evaluate or midvision run.",
        )
    if name not in CONTROL_TITLES:
        raise UsageError(f"There is no control {name!r}.", nearest(name, CONTROL_TITLES), "See: midvision list models")
    return name


def _check_wishes(model: ModelId, weights: str | Path | None, random_init: bool) -> None:
    if model.kind == "card":
        card = _card(model)
        if isinstance(card.route, FromLibrary):
            return _check_wishes(inner_id(card), weights, random_init)
    if weights is not None and model.kind not in ("timm", "card"):
        raise UsageError(
            f"A weights file cannot go with {model.text}.",
            "It replaces the weights of a listed model or of a timm architecture.",
            "Write file:PATH?arch=NAME, or timm/NAME with the file.",
        )
    if random_init and (weights is not None or model.kind in ("python", "file")):
        raise UsageError(
            f"Random weights were asked for {model.text}, which brings its own.", "One of the two is needed."
        )
    return None


def _from_factory(model: ModelId) -> ImageEncoder:
    """What the person's function returns: an encoder, or a module that needs no declaration to be wrapped."""
    module_name, colon, function = model.name.partition(":")
    if not colon or not function:
        raise UsageError(f"Model id {model.text!r} is not complete.", "python:package.module:factory is expected.")
    factory = getattr(_import(module_name), function, None)
    if not callable(factory):
        raise UsageError(f"{module_name} has no function {function!r}.", "One that returns a module is expected.")
    made: Any = factory()
    if hasattr(made, "encode") and hasattr(made, "info") and hasattr(made, "key"):
        encoder: ImageEncoder = made
        return encoder
    from torch import nn

    from midvision.encoders.module_backbone import wrap

    if isinstance(made, nn.Module):
        return wrap(made, name=model.text)
    raise EncoderError(
        f"{model.text} returned a {type(made).__name__}.",
        "A torch module or an encoder is expected.",
        "Return the result of midvision.wrap(module, ...).",
    )


@lru_cache(maxsize=64)
def _factory_key(model: ModelId) -> str:
    return _from_factory(model).key


def _import(name: str) -> Any:
    """A module by name; the working folder counts even where Python was started by a script."""
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Python cannot import {name} ({error}).",
            "An installed package, or a module in the working folder, is expected.",
            "Install it, or start midvision in the folder that holds it.",
        ) from error
    finally:
        if added:
            sys.path.remove(here)
