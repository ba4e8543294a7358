"""Cards: every fact known with a source or unknown with a reason; ids, routes and layouts that exist."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace

import pytest

from midvision.core.errors import DataError, UsageError
from midvision.zoo.card import PARADIGMS, Card, FromFile, FromLibrary, Known, Source, Unavailable, Unknown, all_cards
from midvision.zoo.ids import card_record, inner_id, parse_id
from midvision.zoo.layouts import all_layouts
from midvision.zoo.open_card import check_usable

CARDS = all_cards()
# The comparison's models as the specification names them, by paradigm.
COMPARISON = {
    "pretext": "jigsaw_resnet50 rotnet_resnet50",
    "instance discrimination": "npid_resnet50 npid_pp_resnet50 pirl_resnet50",
    "contrastive and joint embedding": "simclr_resnet50 mocov2_resnet50 mocov3_resnet50 mocov3_vitb16 byol_resnet50 "
    "simsiam_resnet50 barlowtwins_resnet50 dino_resnet50 dino_vitb16 densecl_resnet50",
    "clustering": "swav_resnet50 selav2_resnet50 deepclusterv2_resnet50 clusterfit_resnet50",
    "masked modelling": "mae_vitb16 maskfeat_vitb16 ibot_vitb16",
}
FACTS = (
    "method paradigm objective architecture training_data year source revision sha256 container pixels licence gated "
    "paper linear_top1 knn_top1"
).split()


def test_the_twenty_two_and_the_yardsticks() -> None:
    named = {name: paradigm for paradigm, names in COMPARISON.items() for name in names.split()}
    assert len(named) == 22
    assert all(CARDS[name].paradigm.value == paradigm for name, paradigm in named.items())  # type: ignore[union-attr]
    yardsticks = ("supervised_resnet50", "deit_vitb16")
    assert all(CARDS[name].paradigm.value == "supervised" for name in yardsticks)  # type: ignore[union-attr]
    assert all(isinstance(CARDS[name].route, FromFile) for name in (*named, *yardsticks))


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.id)
def test_every_fact_has_a_source_or_a_reason(card: Card) -> None:
    assert set(FACTS) <= set(card.facts()), "a field is missing"
    for name, fact in {**card.facts(), **{f"oddity {i}": fact for i, fact in enumerate(card.oddities)}}.items():
        if isinstance(fact, Unknown):
            assert len(fact.reason) > 3, name
            continue
        assert isinstance(fact, Known) and fact.value not in ("", None) and len(fact.source) > 3, name
        assert "memory" not in fact.source and "models.md" not in fact.source, name
    if isinstance(card.paradigm, Known):
        assert card.paradigm.value in PARADIGMS
    assert set(card.weights_options) == {card.default_weights, *card.weights_options} or not card.weights_options
    assert json.loads(json.dumps(card.as_dict()))["id"] == card.id


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.id)
def test_every_route_leads_somewhere(card: Card) -> None:
    if isinstance(card.route, FromFile):
        assert card.route.layout in all_layouts()
        assert isinstance(card.source, Known)
        source = card.source.value
        assert source.url.startswith("https://") or (source.repository and source.filename) or source.page, card.id
        assert set(card.weights_options) <= set(all_layouts()[card.route.layout].choices)
    elif isinstance(card.route, FromLibrary):
        assert inner_id(card).kind in ("timm", "hf-hub", "transformers", "torchvision")
    else:
        assert len(card.route.reason) > 10


def test_unknown_facts_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {card.id: len(card.unknowns()) for card in CARDS.values()}
    with capsys.disabled():
        facts = sum(len(card.facts()) for card in CARDS.values())
        print(f"\n{len(CARDS)} cards, {sum(counts.values())} unknown facts of {facts}")
    assert all(record["unknown"] == counts[record["id"]] for record in map(card_record, CARDS.values()))


def test_fields_of_a_card() -> None:
    required = {entry.name for entry in fields(Card) if repr(entry.default) == "<dataclasses._MISSING_TYPE object>"}
    assert set(FACTS) <= {entry.name for entry in fields(Card)}
    assert not required & {"oddities"}
    card = CARDS["dino_vitb16"]
    assert card.unknowns().keys() >= {"sha256", "revision"} and "reference_reading" not in card.unknowns()
    assert card.as_dict()["pixels"]["value"]["mean"] == (0.485, 0.456, 0.406)


def test_what_cannot_be_loaded_says_why() -> None:
    card = replace(CARDS["dino_vitb16"], route=Unavailable("no weights were published"), source=Known(Source(), "none"))
    with pytest.raises(DataError, match="cannot be loaded: no weights were published"):
        check_usable(card)
    record = card_record(card)
    assert (record["available"], record["usable"], record["needs"]) == (False, False, "no weights were published")


def test_weights_in_an_id() -> None:
    assert parse_id("mocov3_vitb16?weights=momentum").options == {"weights": "momentum"}
    assert parse_id("mocov3_vitb16").options == {}
    with pytest.raises(UsageError, match=r"no 'momentun' weights.*Nearest: momentum"):
        parse_id("mocov3_vitb16?weights=momentun")
    with pytest.raises(UsageError, match=r"unknown option 'weights'.*This id has none"):
        parse_id("dino_vitb16?weights=teacher")
    with pytest.raises(UsageError, match=r"Nearest: dino_vitb16"):
        parse_id("dino_vit_b16")


def test_cards_load_no_network_library() -> None:
    code = "import sys; from midvision.zoo.card import all_cards; all_cards(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
