"""The zoo beyond the comparison: how many ids, whether libraries know them, and fabricated files of each layout."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import transformers
from beyond_files import FILES, numbers, target_encoder
from timm.models import get_pretrained_cfg

import midvision as mv
from midvision.cli.main import main
from midvision.core.errors import DataError
from midvision.encoders.encoder import Encoder
from midvision.encoders.hf_backbone import HFBackbone
from midvision.encoders.plan import PIXEL_STATS
from midvision.zoo.card import Card, FromFile, FromLibrary, Known, Unknown, all_cards
from midvision.zoo.layouts import all_layouts, read_layout

CARDS = all_cards()
FROM_TIMM = {
    card.id: card.route.id.removeprefix("timm/")
    for card in CARDS.values()
    if isinstance(card.route, FromLibrary) and card.route.id.startswith("timm/")
}
FROM_TRANSFORMERS = [
    card.id
    for card in CARDS.values()
    if isinstance(card.route, FromLibrary) and card.route.id.startswith("transformers:")
]
FROM_FILE = [card for card in CARDS.values() if isinstance(card.route, FromFile)]
# What the issue asks for by name, a part of an id each.
ASKED = (
    "dinov2_vitb14 dinov2_vitb14_reg dinov3_vitb16 mae_vitl16 mae_vith14 ibot_vitl16 ibot_vitb16_in22k beit_vitb16 "
    "beitv2_vitb16 eva02_vitb14 eva_mae_style_vitb16 data2vec_vitb16 msn_vitb16 ijepa_vith14 vjepa2_vitl16 "
    "croco_vitb16 crocov2_vitb_base milan_vitb16 pixmim_vitb16 simmim_vitb16 convnextv2_base_fcmae hiera_base_mae "
    "vicreg_resnet50 vicregl_resnet50_a0.9 clip_vitb16 slip_vitb16 siglip2_vitb16 pe_core_vitb16 deit3_vitb16 "
    "sam_vitb16 radio_v3_vitb16 webssl_dino1b vc1_vitb16 saycam_dino_say_vitb14 saycam_dino_imagenet100_vitb14"
).split()
SMALL = ("eva02_vitt14", "convnextv2_atto_fcmae", "hiera_tiny_mae", "dinov3_vits16", "saycam_mae_s_vits16")


def shapes_of(card: Card) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a card's network."""
    assert isinstance(card.route, FromFile)
    return _shapes(card.route.network, json.dumps(dict(card.route.options), sort_keys=True))


@cache
def _shapes(network: str, options: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        built = timm.create_model(network, num_classes=0, **json.loads(options))
    return {name: tuple(value.shape) for name, value in built.state_dict().items()}


def test_the_list_is_long_enough_and_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    records = {record["id"]: record for record in listed if record["kind"] == "card"}
    usable = [record for record in records.values() if record["usable"]]
    assert len(usable) >= 60
    fields = set(next(iter(records.values()))["card"])
    for record in records.values():
        assert set(record["card"]) == fields, "a field is missing"
        for name, fact in record["card"].items():
            if isinstance(fact, dict) and name != "route":
                assert fact.get("unknown") or (fact["source"] and fact["value"] not in ("", None)), (record["id"], name)
    assert all(len(record["reason"]) > 10 for record in records.values() if not record["usable"])
    assert set(ASKED) <= set(records)


@pytest.mark.parametrize("id", FROM_TIMM)
def test_timm_knows_the_name_and_agrees(id: str) -> None:
    """Pixel statistics and licence are what timm's own table of this version says."""
    name, card = FROM_TIMM[id], CARDS[id]
    assert name in timm.list_pretrained()
    config: Any = get_pretrained_cfg(name)
    if isinstance(card.pixels, Known):
        assert (card.pixels.value.mean, card.pixels.value.std) == (tuple(config.mean), tuple(config.std))
    assert config.hf_hub_id or config.url
    if isinstance(card.licence, Known) and config.license and not card.licence.value.startswith("NVIDIA"):
        plain = card.licence.value.lower().replace(" ", "-")
        assert plain.startswith(config.license.removesuffix("-4.0")), (plain, config.license)


def test_transformers_has_the_classes() -> None:
    """The ids themselves cannot be asked without a network; the classes of their configurations are read."""
    assert len(FROM_TRANSFORMERS) >= 10
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
    for name in ("Dinov2", "ViT", "ViTMAE", "Data2VecVision"):
        config = getattr(transformers, f"{name}Config")(**sizes, image_size=56, patch_size=14)
        backbone = HFBackbone(transformers.AutoModel.from_config(config).eval(), PIXEL_STATS["imagenet"], name)
        found = backbone.read(torch.zeros(1, 3, 84, 84), [0, 2], False)
        assert [tuple(one.shape) for one in found.maps] == [(1, 32, 6, 6)] * 2, name


@pytest.mark.parametrize("card", FROM_FILE, ids=lambda card: card.id)
def test_a_bare_network_of_every_card_fits_its_architecture(card: Card) -> None:
    """Options that timm's constructor does not take, or tables of another size, would fail here."""
    assert isinstance(card.route, FromFile)
    shapes = shapes_of(card)
    found = read_layout(card.route.layout, numbers(shapes), "", "a.pth")
    assert {name: tuple(value.shape) for name, value in found.items()} == dict(shapes)


def test_every_layout_of_a_card_has_a_fabricated_file() -> None:
    """Those of the comparison are witnessed in test_published_cases.py."""
    own = {card.route.layout for card in FROM_FILE if card.id in FILES and isinstance(card.route, FromFile)}
    used = {card.route.layout for card in FROM_FILE if isinstance(card.route, FromFile)}
    witnessed = set("bare dino ibot mae deit openmmlab vissl swav moco mocov3 barlow byol densecl simsiam".split())
    assert used <= own | witnessed and used <= set(all_layouts())


@pytest.mark.parametrize("id", FILES)
def test_names_of_a_fabricated_file_are_the_network_s(id: str) -> None:
    card = CARDS[id]
    assert isinstance(card.route, FromFile)
    shapes = shapes_of(card)
    found = read_layout(card.route.layout, FILES[id](shapes), "", "a.pth")
    assert {name: tuple(value.shape) for name, value in found.items()} == dict(shapes)
    expected = numbers(shapes)
    shared = [name for name in shapes if name.endswith("relative_position_bias_table")]
    assert all(torch.equal(found[name], found[shared[0]]) for name in shared)
    ones = [name for name in shapes if ".gamma_" in name and card.route.layout == "croco-rotary"]
    assert all(bool((found[name] == 1).all()) for name in ones)
    assert all(torch.equal(found[name], expected[name]) for name in set(shapes) - set(shared) - set(ones))


def test_rotary_positions_of_croco_v2_are_its_own() -> None:
    """Attention of one block, by hand: channel i of a half turns with channel i + 16, rows first, columns then."""
    card = CARDS["crocov2_vitb_small"]
    assert isinstance(card.route, FromFile)
    torch.manual_seed(0)
    small = {**card.route.options, "embed_dim": 128, "depth": 1, "num_heads": 2, "dynamic_img_size": True}
    network: Any = timm.create_model(card.route.network, num_classes=0, **small).eval()
    theirs = {
        name.replace("blocks.", "enc_blocks.").replace("norm.", "enc_norm.") if name.startswith(("bl", "no")) else name:
            torch.randn(value.shape) * 0.3
        for name, value in network.state_dict().items()
        if "gamma" not in name
    }  # fmt: skip
    network.load_state_dict(read_layout("croco-rotary", {"model": theirs}, "", "a.pth"), strict=True)
    rows, columns = 2, 3
    pixels = torch.randn(1, 3, 16 * rows, 16 * columns)
    seen: list[torch.Tensor] = []
    network.blocks[0].attn.register_forward_hook(lambda _m, given, found: seen.extend((given[0], found)))
    with torch.no_grad():
        network.forward_features(pixels)
    tokens, found = seen
    packed = tokens @ theirs["enc_blocks.0.attn.qkv.weight"].T + theirs["enc_blocks.0.attn.qkv.bias"]
    query, key, value = packed.reshape(rows * columns, 3, 2, 64).permute(1, 2, 0, 3)
    place = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
    weights = (_turned(query, place) @ _turned(key, place).transpose(1, 2) / 8).softmax(-1)
    summed = (weights @ value).transpose(0, 1).reshape(1, rows * columns, 128)
    expected = summed @ theirs["enc_blocks.0.attn.proj.weight"].T + theirs["enc_blocks.0.attn.proj.bias"]
    assert torch.allclose(found, expected, atol=1e-5) and float(found.std()) > 0.1


def _turned(values: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    turned = values.clone()
    for axis in (0, 1):
        for pair in range(16):
            angle = place[:, axis] * 100 ** (-pair / 16)
            a, b = 32 * axis + pair, 32 * axis + pair + 16
            turned[..., a] = values[..., a] * angle.cos() - values[..., b] * angle.sin()
            turned[..., b] = values[..., b] * angle.cos() + values[..., a] * angle.sin()
    return turned


@pytest.mark.slow
@pytest.mark.parametrize(
    "id", ["msn_vits16", "slip_vits16", "beit_vitb16", "vicregl_convnext_small_a0.9", "saycam_mugs_say_vits16"]
)
def test_a_fabricated_file_loads_strictly_under_its_id(id: str, tmp_path: Path) -> None:
    shapes = shapes_of(CARDS[id])
    path = tmp_path / "a.pth"
    torch.save(FILES[id](shapes), path)
    encoder = mv.load_model(id, weights=path)
    assert isinstance(encoder, Encoder)
    state = encoder.backbone.network.state_dict()  # type: ignore[union-attr, operator]
    for name, value in numbers(shapes).items():
        if not name.endswith("relative_position_bias_table"):
            assert torch.equal(state[name], value), name
    with pytest.raises(DataError, match="1 missing"):
        torch.save(FILES[id](_without_one(shapes)), path)
        mv.load_model(id, weights=path)


def _without_one(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    gone = next(name for name in reversed(shapes) if ".1." in name and name.endswith("weight"))
    return {name: shape for name, shape in shapes.items() if name != gone}


def test_the_evaluated_network_is_taken_and_the_other_on_request() -> None:
    card = CARDS["msn_vits16"]
    shapes = shapes_of(card)
    content = target_encoder(shapes)
    target = read_layout("target-encoder", content, "", "a.pth")
    context = read_layout("target-encoder", content, "context", "a.pth")
    name = "blocks.3.attn.qkv.weight"
    assert torch.equal(target[name], numbers(shapes)[name]) and not torch.equal(target[name], context[name])
    with pytest.raises(DataError, match="no target weights"):
        read_layout("target-encoder", {"encoder": content["encoder"]}, "", "a.pth")


def test_what_a_saycam_file_must_not_hold_twice() -> None:
    twice = {"teacher": {"module.norm.weight": torch.ones(1), "backbone.norm.weight": torch.zeros(1)}}
    with pytest.raises(DataError, match="laid out otherwise"):
        read_layout("saycam", twice, "", "a.pth")


@pytest.mark.slow
@pytest.mark.parametrize("id", SMALL)
def test_random_weights_of_small_ones(id: str) -> None:
    encoder = mv.load_model(id, random_init=True)
    assert isinstance(encoder, Encoder)
    found = mv.features(encoder, torch.rand(1, 3, 224, 224))
    stride = encoder.info.layers[-1].stride
    assert found.maps[-1].shape[-2:] == (224 // stride, 224 // stride) and bool(found.maps[-1].isfinite().all())


def test_dinov2_and_mae_carry_what_their_readings_need() -> None:
    for size in "sblg":
        assert CARDS[f"dinov2_vit{size}14"].positions.value == "dino"  # type: ignore[union-attr]
        assert isinstance(CARDS[f"dinov2_vit{size}14_reg"].positions, Unknown)
    for name in ("mae_vitb16", "mae_vitl16", "mae_vith14"):
        assert CARDS[name].reference_reading.value.block_shift == -1  # type: ignore[union-attr]


def test_options_are_part_of_what_is_computed() -> None:
    from midvision.zoo.open_card import network_key

    card = CARDS["slip_vits16"]
    assert isinstance(card.route, FromFile) and card.route.options == {"num_heads": 12}
    assert network_key(card, card.route) != network_key(card, replace(card.route, options={}))


def test_published_accuracies_are_of_cards_and_plausible() -> None:
    from midvision.zoo.published import ROWS

    assert set(ROWS) <= set(CARDS)
    for card in CARDS.values():
        for fact in (card.linear_top1, card.knn_top1):
            assert isinstance(fact, Unknown) or (20 < fact.value < 100 and "github.com" in fact.source), card.id
        if isinstance(card.paper, Known) and isinstance(card.year, Known):
            assert card.paper.value.startswith(f"arXiv {card.year.value - 2000:02d}")
    # Three rows as their publishers print them.
    rows = {"jigsaw_resnet50": 48.57, "dino_vitb16": 78.2, "dinov2_vitg14_reg": 87.1}
    assert {name: CARDS[name].linear_top1.value for name in rows} == rows  # type: ignore[union-attr]
