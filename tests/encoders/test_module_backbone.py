"""A person's own module: what is found, what must be declared, what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from midvision.core.errors import EncoderError, UsageError
from midvision.encoders.ask import features
from midvision.encoders.module_backbone import wrap


class Stages(nn.Module):
    """Two strided convolutions with padding: stride 2 and 4, first centre 0.5."""

    def __init__(self, form: str = "list") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(3, 8, 3, 2, padding=1)
        self.two = nn.Conv2d(8, 16, 3, 2, padding=1)
        self.drop = nn.Dropout(0.5)
        self.form = form

    def forward(self, x: Tensor):  # type: ignore[no-untyped-def]
        one = self.one(x)
        two = self.two(self.drop(one))
        if self.form == "dict":
            return {"early": one, "late": two, "pooled": two.amax((2, 3))}
        return two if self.form == "map" else [one, two]


class Tokens(nn.Module):
    def __init__(self, extra: int = 3, drop: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Conv2d(3, 6, 14, 14)
        self.extra = nn.Parameter(torch.randn(1, extra, 6))
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        patches = self.embed(x).flatten(2).transpose(1, 2)[:, self.drop :]
        return torch.cat([self.extra.expand(len(x), -1, -1), patches], dim=1)


def test_list_of_maps() -> None:
    encoder = wrap(Stages())
    assert [(x.channels, x.stride, x.first_centre_px) for x in encoder.info.layers] == [(8, 2, 0.5), (16, 4, 0.5)]
    assert encoder.info.size_multiple == 4 and encoder.info.kind == "stages"
    found = features(encoder, torch.rand(2, 3, 40, 60))
    assert [tuple(m.shape) for m in found.maps] == [(2, 8, 20, 30), (2, 16, 10, 15)]
    assert torch.allclose(found.pooled, found.maps[1].mean((2, 3)))  # type: ignore[arg-type]


def test_dict_with_its_own_pooled_vector() -> None:
    found = features(wrap(Stages("dict")), torch.rand(2, 3, 40, 60))
    assert len(found.maps) == 2
    assert torch.equal(found.pooled, found.maps[1].amax((2, 3)))  # type: ignore[arg-type]


def test_submodules_by_name() -> None:
    found = features(wrap(Stages("map"), layers=["one", "two"]), torch.rand(1, 3, 32, 32))
    assert [m.shape[1] for m in found.maps] == [8, 16]
    with pytest.raises(UsageError, match="no submodule 'on'"):
        wrap(Stages("map"), layers=["on"])


def test_tokens_with_declared_extras() -> None:
    module = Tokens()
    encoder = wrap(
        module, patch_size=14, class_token=True, register_tokens=2, pixel_mean=(0, 0, 0), pixel_std=(1, 1, 1)
    )
    assert encoder.info.layers[0].first_centre_px == 7.0 and encoder.info.size_multiple == 14
    images = torch.rand(2, 3, 28, 42)
    found = features(encoder, images)
    with torch.no_grad():
        assert torch.allclose(found.maps[0], module.embed(images), atol=1e-6)
    assert torch.equal(found.pooled, module.extra[:, 0].expand(2, -1))  # type: ignore[arg-type]


def test_wrong_token_counts_are_explained() -> None:
    with pytest.raises(EncoderError, match="259 tokens for 224 x 224 pixels"):
        wrap(Tokens(), patch_size=14, class_token=True)
    with pytest.raises(EncoderError, match="Give patch_size"):
        wrap(Tokens(extra=0))
    with pytest.raises(EncoderError, match="255 tokens"):
        wrap(Tokens(extra=0, drop=1), patch_size=14)


def test_a_vector_is_no_map() -> None:
    with pytest.raises(EncoderError, match=r"shape \[2, 10\] for a batch of 2"):
        wrap(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10)))


def test_the_original_is_not_touched() -> None:
    module = Stages()
    module.train()
    encoder = wrap(module)
    images = torch.rand(1, 3, 32, 32)
    before = features(encoder, images).maps[0]
    assert module.training and all(p.requires_grad for p in module.parameters())
    with torch.no_grad():
        module.one.weight.zero_()
    assert torch.equal(features(encoder, images).maps[0], before), "a snapshot must not follow training"


def test_key_names_the_function() -> None:
    assert wrap(Stages()).key == wrap(Stages()).key == wrap(Stages(), name="mine").key
    assert wrap(Stages()).name == wrap(Stages()).name != wrap(Stages("map")).name
    assert wrap(Stages(), name="mine").name == "mine"
    changed = Stages()
    with torch.no_grad():
        changed.one.bias += 1  # type: ignore[operator]
    keys = {
        wrap(Stages()).key,
        wrap(changed).key,
        wrap(Stages("map")).key,
        wrap(Stages(), pixel_mean=(0.5, 0.5, 0.5)).key,
        wrap(Stages(), preprocess=lambda x: x * 2).key,
    }
    assert len(keys) == 5


def test_statistics_or_preprocess() -> None:
    images = torch.rand(1, 3, 32, 32)
    doubled = features(wrap(Stages(), preprocess=lambda x: x * 2), images, pixel_stats="imagenet").maps[0]
    with torch.no_grad():
        assert torch.allclose(doubled, Stages().one(images * 2), atol=1e-6)
    with pytest.raises(UsageError, match="Both preprocess"):
        wrap(Stages(), preprocess=lambda x: x, pixel_mean=(0, 0, 0))


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 4) + torch.rand(())


class BatchMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x - x.mean(0, keepdim=True), 4)


def test_unrepeatable_and_batch_dependent_modules_are_refused() -> None:
    with pytest.raises(EncoderError, match="two different answers"):
        wrap(Noisy())
    with pytest.raises(EncoderError, match="alone"):
        wrap(BatchMean())


def test_only_modules_can_be_wrapped() -> None:
    with pytest.raises(UsageError, match="cannot be wrapped"):
        wrap(lambda x: x)  # type: ignore[arg-type]


def test_measured_centre_of_disjoint_patches_and_unpadded_kernels() -> None:
    torch.manual_seed(0)
    assert wrap(nn.Conv2d(3, 16, 8, 8)).info.layers[0].first_centre_px == 4.0
    assert wrap(nn.Conv2d(3, 16, 8, 8), first_centre_px=3.0).info.layers[0].first_centre_px == 3.0
