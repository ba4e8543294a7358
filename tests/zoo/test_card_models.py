"""From a card's id to an encoder: hand-made cards of small networks, fabricated files."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoint_files import prefixed, resnet_state, saved

import midvision as mv
from midvision.core.errors import DataError, UsageError
from midvision.core.features import FeatureSpec
from midvision.encoders.encoder import Encoder
from midvision.encoders.plan import PIXEL_STATS, make_plan
from midvision.encoders.timm_backbone import TimmBackbone, build_network
from midvision.zoo import ids, load, origin
from midvision.zoo.card import HALF, Card, FromFile, FromLibrary, Known, Source, Unavailable, all_cards
from midvision.zoo.load import encoder_key

SWAV_STD = (0.228, 0.224, 0.225)


def small_cards() -> dict[str, Card]:
    """The comparison's own cards with smaller networks."""
    real = all_cards()
    made = (
        replace(real["mocov3_resnet50"], id="small_moco", route=FromFile("resnet18", "mocov3")),
        replace(
            real["swav_resnet50"], id="small_swav", route=FromFile("resnet18", "swav"), sha256=Known("0" * 64, "test")
        ),
        replace(real["ibot_vitb16"], id="small_ibot", route=FromFile("vit_tiny_patch16_224", "ibot", {"depth": 2})),
        replace(
            real["augreg_vitb16"], id="small_library", route=FromLibrary("timm/resnet18"), pixels=Known(HALF, "test")
        ),
        replace(real["mae_vitb16"], id="nowhere", route=Unavailable("nobody published them")),
    )
    return {card.id: card for card in made}


@pytest.fixture(autouse=True)
def cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mapping[str, Card]]:
    small = small_cards()
    for module in (ids, load, origin):
        monkeypatch.setattr(module, "all_cards", lambda: small)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MIDVISION_CACHE", str(tmp_path / "cache"))
    yield small


def opened(name: str, weights: Path | None = None, **wishes: bool) -> Encoder:
    encoder = mv.load_model(name, weights=weights, **wishes)
    assert isinstance(encoder, Encoder)
    return encoder


def first_weight(encoder: Encoder) -> torch.Tensor:
    found: torch.Tensor = encoder.backbone.network.conv1.weight  # type: ignore[union-attr, assignment]
    return found


def moco_file(folder: Path, base: bool = True) -> Path:
    momentum = prefixed(resnet_state("momentum"), "module.momentum_encoder.")
    both = {**prefixed(resnet_state("base"), "module.base_encoder."), **momentum}
    return saved(folder / "moco.pth.tar", {"state_dict": both if base else momentum, "epoch": 1})


def test_base_by_default_momentum_when_asked(tmp_path: Path) -> None:
    path = moco_file(tmp_path)
    base, momentum = opened("small_moco", path), opened("small_moco?weights=momentum", path)
    assert torch.equal(first_weight(base), resnet_state("base")["conv1.weight"])
    assert torch.equal(first_weight(momentum), resnet_state("momentum")["conv1.weight"])
    assert base.key != momentum.key and opened("small_moco?weights=base", path).key == base.key
    assert base.key == encoder_key("small_moco", path)
    assert (base.origin["weights_choice"], momentum.origin["weights_choice"]) == ("base", "momentum")
    with pytest.raises(DataError, match=r"no base weights, only 'momentum'"):
        opened("small_moco", moco_file(tmp_path, base=False))


def test_one_renamed_tensor_is_named(tmp_path: Path) -> None:
    state = prefixed(resnet_state(), "module.")
    state["module.layer3.0.conv1.wheight"] = state.pop("module.layer3.0.conv1.weight")
    with pytest.raises(DataError, match=r"1 missing \(layer3\.0\.conv1\.weight\); 1 left over"):
        opened("small_swav", saved(tmp_path / "a.pth", state))
    with pytest.raises(DataError, match=r"layer1\.0\.conv1\.weight|missing"):
        opened("small_swav", saved(tmp_path / "b.pth", prefixed(build_network("resnet34").state_dict(), "module.")))


def test_statistics_are_the_card_s_and_paper_keeps_the_data_set_s(tmp_path: Path) -> None:
    path = saved(tmp_path / "swav.pth", prefixed(resnet_state(), "module."))
    with pytest.warns(UserWarning, match="is not the published file of small_swav"):
        encoder = opened("small_swav", path)
    assert encoder.origin["as_published"] is False and encoder.origin["card"] == "small_swav"
    assert encoder.origin["weights_sha256"] != encoder.origin["published_sha256"]
    spec = FeatureSpec((64, 64))
    assert make_plan(spec, encoder.info).pixel_std == SWAV_STD
    assert make_plan(replace(spec, pixel_stats="imagenet"), encoder.info).pixel_std == (0.229, 0.224, 0.225)


def test_options_and_positions_reach_the_network(tmp_path: Path) -> None:
    network = build_network("vit_tiny_patch16_224", options={"depth": 2})
    path = saved(tmp_path / "ibot.pth", {"state_dict": {**network.state_dict(), "masked_embed": torch.ones(1, 192)}})
    encoder = opened("small_ibot", path)
    assert len(encoder.info.layers) == 2
    usual = Encoder(TimmBackbone(network, "vit_tiny_patch16_224", PIXEL_STATS["imagenet"]), "usual", "usual")
    for side, equal in ((224, True), (160, False)):
        images = torch.rand(1, 3, side, side)
        found, expected = (mv.features(one, images).maps[-1] for one in (encoder, usual))
        assert torch.allclose(found, expected, atol=1e-5) is equal, side


def test_random_weights_never_need_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    asked, named = opened("small_swav", random_init=True), opened("random/small_swav")
    assert asked.key == named.key == encoder_key("random/small_swav") and asked.name == "random/small_swav"
    assert asked.info.pixel_std == SWAV_STD and asked.origin == {"weights_source": "seeded random"}
    assert asked.key != opened("random/resnet18").key, "other pixel statistics, another function"
    assert opened("small_library", random_init=True).info.pixel_mean == HALF.mean


def test_random_weights_differ_between_cards_of_one_architecture() -> None:
    """Stand-ins for several models must not all be one model; the same card is always the same stand-in."""
    images = torch.rand(1, 3, 32, 32)
    swav, moco, again = (opened(f"random/{name}") for name in ("small_swav", "small_moco", "small_swav"))
    first, other, repeated = (mv.features(one, images).maps[-1] for one in (swav, moco, again))
    assert torch.equal(first, repeated) and not torch.allclose(first, other, rtol=0.1)
    weights = [dict(one.backbone.named_parameters())["network.conv1.weight"] for one in (swav, moco)]
    assert not torch.equal(*weights) and swav.key == again.key != moco.key


def test_a_library_s_model_under_a_card(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", resnet_state())
    encoder, plain = opened("small_library", path), opened("timm/resnet18", path)
    assert encoder.info.pixel_mean == HALF.mean and plain.info.pixel_mean != HALF.mean
    assert torch.equal(first_weight(encoder), first_weight(plain)) and encoder.key != plain.key


def test_files_that_are_not_here() -> None:
    with pytest.raises(DataError, match=r"small_moco.*--weights FILE"):
        opened("small_moco")
    with pytest.raises(DataError, match=r"nowhere cannot be loaded: nobody published them"):
        opened("nowhere")
    with pytest.raises(UsageError, match="Random weights were asked for"):
        mv.load_model("small_moco", weights="a.pth", random_init=True)


def test_a_published_file_in_the_cache(cards: Mapping[str, Card], tmp_path: Path) -> None:
    from midvision.zoo.fetch import card_place

    place = card_place(cards["small_moco"])
    place.parent.mkdir(parents=True)
    moco_file(tmp_path).rename(place)
    encoder = opened("small_moco")
    source = cards["small_moco"].source
    assert isinstance(source, Known) and isinstance(source.value, Source)
    assert encoder.origin["weights_source"] == source.value.url
    assert len(encoder.origin["weights_sha256"]) == 64 and encoder.origin["weights_choice"] == "base"
