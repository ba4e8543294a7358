"""transformers models from folders: hidden states, tokens, statistics; no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import midvision as mv
from midvision.core.errors import DataError
from midvision.encoders.hf_backbone import HFBackbone
from midvision.encoders.plan import PIXEL_STATS
from midvision.zoo.load import encoder_key

SMALL = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 64}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "do_normalize": True}

# Six columns of cells; four frames.
VIDEO = {
    "patch_size": 16,
    "crop_size": 96,
    "frames_per_clip": 4,
    "pred_hidden_size": 24,
    "pred_num_attention_heads": 2,
    "pred_num_hidden_layers": 1,
}


def build(name: str, **settings: Any) -> HFBackbone:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**settings)
    return HFBackbone(getattr(transformers, f"{name}Model")(config), PIXEL_STATS["imagenet"], name)


@pytest.mark.parametrize(
    ("name", "settings", "class_token", "registers"),
    [
        ("ViT", {"patch_size": 16}, True, 0),
        ("DeiT", {"patch_size": 16}, True, 1),
        ("DINOv3ViT", {"patch_size": 16, "num_register_tokens": 4}, True, 4),
        ("Dinov2WithRegisters", {"patch_size": 14, "num_register_tokens": 2}, True, 2),
        ("IJepa", {"patch_size": 16}, False, 0),
        ("SiglipVision", {"patch_size": 16}, False, 0),
        ("CLIPVision", {"patch_size": 16}, True, 0),
        ("Pixio", {"patch_size": 16, "n_cls_tokens": 3}, True, 2),
        ("Yolos", {"patch_size": 16, "image_size": [64, 64], "num_detection_tokens": 5}, True, 5),
        ("Siglip2Vision", {"patch_size": 16, "num_patches": 16}, False, 0),
        ("VJEPA2", VIDEO, False, 0),
    ],
)
def test_tokens_are_known(name: str, settings: dict[str, Any], class_token: bool, registers: int) -> None:
    net = build(name, **{**SMALL, **settings})
    assert (net.info.has_class_token, net.info.register_tokens) == (class_token, registers)
    patch = settings["patch_size"]
    with torch.no_grad():
        found = net.read(torch.randn(2, 3, 3 * patch, 5 * patch), [0, 3], False)
    assert [tuple(m.shape) for m in found.maps] == [(2, 32, 3, 5)] * 2
    assert (found.pooled is not None) == class_token
    assert all(layer.first_centre_px == patch / 2 for layer in net.info.layers)


def test_layer_zero_is_the_first_block_not_the_embedding() -> None:
    net = build("ViT", **SMALL, patch_size=16)
    pixels = torch.randn(1, 3, 64, 64)
    seen: list[Any] = []
    handles = [block.register_forward_hook(lambda _m, _i, out: seen.append(out)) for block in net.network.layers]
    with torch.no_grad():
        found = net.read(pixels, [0, 3], False)
        normed = net.read(pixels, [3], True)
        expected = net.network.layernorm(seen[3])
    for handle in handles:
        handle.remove()
    for index, row in ((0, 0), (3, 1)):
        assert torch.equal(found.maps[row].flatten(2).transpose(1, 2), seen[index][:, 1:])
    assert torch.equal(found.pooled, seen[3][:, 0])  # type: ignore[arg-type]
    assert torch.allclose(normed.pooled, expected[:, 0], atol=1e-6)  # type: ignore[arg-type]


def test_masked_autoencoder_masks_and_shuffles_nothing() -> None:
    net = build("ViTMAE", **SMALL, patch_size=16)
    pixels = torch.randn(1, 3, 64, 64)
    seen: list[Any] = []
    handle = net.network.embeddings.patch_embeddings.register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.no_grad():
        one, again = (net.read(pixels, [0], False).maps[0] for _ in range(2))
        embedded = seen[0] + net.network.embeddings.position_embeddings[:, 1:]
    handle.remove()
    assert one.shape == (1, 32, 4, 4) and torch.equal(one, again)
    # Random blocks add little to what they are given, so each token stays nearest to its own embedding.
    tokens = torch.nn.functional.normalize(one.flatten(2).transpose(1, 2)[0], dim=1)
    assert torch.equal((tokens @ torch.nn.functional.normalize(embedded[0], dim=1).T).argmax(1), torch.arange(16))


def test_resnet_has_its_stem_and_convnext_none() -> None:
    net = build("ResNet", depths=[1, 1, 1, 1], hidden_sizes=[16, 32, 64, 128], embedding_size=8)
    assert net.info.stem_layers == 1 and [x.stride for x in net.info.layers] == [4, 4, 8, 16, 32]
    net = build("ConvNext", depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 32, 64])
    assert net.info.stem_layers == 0 and [x.first_centre_px for x in net.info.layers] == [2.0, 4.0, 8.0, 16.0]


def save(folder: Path, statistics: bool = True) -> Path:
    torch.manual_seed(0)
    transformers.ViTModel(transformers.ViTConfig(**SMALL, patch_size=16)).save_pretrained(folder)
    if statistics:
        (folder / "preprocessor_config.json").write_text(json.dumps(HALF))
    return folder


def test_from_a_folder(tmp_path: Path) -> None:
    name = f"transformers:{save(tmp_path)}"
    encoder = mv.load_model(name)
    assert encoder.info.pixel_mean == (0.5, 0.5, 0.5)
    assert encoder.key == encoder_key(name)
    assert mv.features(encoder, torch.rand(1, 3, 64, 96)).maps[0].shape == (1, 32, 4, 6)
    random = mv.load_model(name, random_init=True)
    assert random.key != encoder.key


def test_unknown_statistics_are_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="preprocessor_config"):
        mv.load_model(f"transformers:{save(tmp_path, statistics=False)}")


def test_not_on_this_machine(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened"):
        mv.load_model(f"transformers:{tmp_path}/absent", random_init=True)


def test_a_small_image_leaves_a_shifted_window_network_as_it_was() -> None:
    """transformers' Swin shrinks its windows in place, so what it saw before would change its answers."""
    settings = {"embed_dim": 8, "depths": [2, 2], "num_heads": [1, 2], "window_size": 4, "image_size": 64}
    net = build("Swin", **settings)
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = net.read(pixels, [0, 1], False).maps
        net.read(torch.randn(1, 3, 32, 32), [0, 1], False)
        after = net.read(pixels, [0, 1], False).maps
    assert all(torch.equal(one, other) for one, other in zip(before, after))


def test_a_class_token_in_a_pooling_head_is_none_of_the_blocks() -> None:
    net = build("Aimv2Vision", **SMALL, patch_size=16)
    assert (net.info.has_class_token, net.info.register_tokens) == (False, 0)


def test_several_class_tokens_are_pooled_by_their_mean_and_stay_out_of_maps() -> None:
    """As Pixio's own pooled output, which is of the normed tokens."""
    net = build("Pixio", **SMALL, patch_size=16, n_cls_tokens=3)
    pixels = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        own = net.network(pixel_values=pixels)
        found = net.read(pixels, [3], True)
    assert torch.allclose(found.pooled, own.pooler_output, atol=1e-6)  # type: ignore[arg-type]
    patches = own.last_hidden_state[:, 3:].transpose(1, 2).reshape(2, 32, 4, 6)
    assert torch.allclose(found.maps[0], patches, atol=1e-6)


def test_detection_tokens_stand_behind_the_patches() -> None:
    net = build("Yolos", **{**SMALL, "image_size": [64, 64]}, patch_size=16, num_detection_tokens=5)
    pixels = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        own = net.network(pixel_values=pixels).last_hidden_state
        found = net.read(pixels, [3], True)
    assert torch.allclose(found.pooled, own[:, 0], atol=1e-6)  # type: ignore[arg-type]
    assert torch.allclose(found.maps[0], own[:, 1:25].transpose(1, 2).reshape(2, 32, 4, 6), atol=1e-6)


def test_patches_for_any_aspect_ratio_are_those_of_the_own_processor() -> None:
    net = build("Siglip2Vision", **SMALL, patch_size=16, num_patches=16)
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    processor = transformers.Siglip2ImageProcessor(
        patch_size=16, max_num_patches=24, do_resize=True, do_rescale=False, do_normalize=False
    )
    given = processor(list(images), return_tensors="pt")
    assert given["spatial_shapes"].tolist() == [[4, 6]] * 2
    with torch.no_grad():
        own = net.network(**{name: given[name] for name in ("pixel_values", "pixel_attention_mask", "spatial_shapes")})
        found = net.read(images.float(), [3], True)
    assert torch.allclose(found.maps[0].flatten(2).transpose(1, 2), own.last_hidden_state, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(96, 96), (64, 96), (96, 64), (160, 48)])
def test_an_image_is_a_short_clip_whose_cells_are_rotated_by_its_own_rows_and_columns(height: int, width: int) -> None:
    """Against transformers' own positions of some cells of a clip as wide as it was built for."""
    own: Any = video_network(width).eval()
    net = HFBackbone(video_network(96), PIXEL_STATS["imagenet"], "clip")
    with torch.no_grad():
        for part in (*own.parameters(), *net.parameters()):
            part.copy_(torch.linspace(-1, 1, part.numel()).sin().reshape(part.shape) * 0.3)
    pixels = torch.randn(2, 3, height, width)
    rows, columns = height // 16, width // 16
    for part in own.encoder.layer:
        # Taller than wide, it would take the rest for the next step in time.
        part.attention.grid_size = columns
        part.attention._get_frame_pos = torch.zeros_like
    with torch.no_grad():
        expected = own(pixels[:, None].repeat(1, 2, 1, 1, 1), skip_predictor=True).last_hidden_state
        found = net.read(pixels, [3], True)
    assert found.maps[0].shape == (2, 32, rows, columns) and found.pooled is None
    assert torch.allclose(found.maps[0].flatten(2).transpose(1, 2), expected, atol=1e-5)


def video_network(side: int) -> Any:
    return transformers.VJEPA2Model(transformers.VJEPA2Config(**{**SMALL, **VIDEO, "crop_size": side}))


def test_a_video_model_from_a_folder_brings_its_statistics(tmp_path: Path) -> None:
    video_network(96).save_pretrained(tmp_path)
    (tmp_path / "video_preprocessor_config.json").write_text(json.dumps(HALF))
    encoder = mv.load_model(f"transformers:{tmp_path}")
    assert encoder.info.pixel_mean == (0.5, 0.5, 0.5)
    assert encoder.info.parameters == sum(p.numel() for p in video_network(96).encoder.parameters())
