"""Noise and solid textures."""

from __future__ import annotations

import numpy as np
import pytest

from midvision.synth.surfaces import TEXTURES, material_table, mean_colour, paint
from midvision.synth.surfaces_noise import cells, fractal, gradient_noise, lattice_hash, mixed, soft_step
from midvision.synth.surfaces_patterns import decal, pattern
from midvision.synth.world import Material


def material(texture: str, **changes: float) -> Material:
    colours = ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))
    values = {"scale": 5.0, "roughness": 0.5, "specular": 0.5, "bump": 0.0, "decals": 0, **changes}
    return Material(texture=texture, colours=colours, offset=(0.1, 0.2, 0.3), seed=7, **values)


def painted(
    texture: str, xyz: np.ndarray, footprint_m: float = 0.001, **changes: float
) -> tuple[np.ndarray, np.ndarray]:
    normals = np.tile(np.float32([0, 0, 1]), (len(xyz), 1))
    table = material_table([material(texture, **changes)], [1.0])
    width = np.full(len(xyz), footprint_m, np.float32)
    return paint(xyz.astype(np.float32), normals, np.zeros(len(xyz), np.int32), width, table)


def points(n: int = 4000, reach: float = 1.0) -> np.ndarray:
    return np.random.default_rng(0).uniform(-reach, reach, (n, 3))


def slow_hash(x: int) -> int:
    """The integer hash in plain Python."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def test_the_hash_equals_plain_integers_also_for_negative_lattice_points() -> None:
    for x in (0, 1, 12345, 2**32 - 1):
        assert int(mixed(np.uint32(x))) == slow_hash(x)
    for i, j, k, seed in [(0, 0, 0, 0), (3, -2, 7, 5), (-100, 55, -1, 999)]:
        word = (i % 2**32 * 0x8DA6B343 % 2**32) ^ (j % 2**32 * 0xD8163841 % 2**32) ^ (k % 2**32 * 0xCB1AB31F % 2**32)
        word ^= seed * 0x9E3779B9 % 2**32
        assert int(lattice_hash(i, j, k, seed)) == slow_hash(word)


def test_gradient_noise_is_zero_on_the_lattice_and_smooth_between() -> None:
    assert all(gradient_noise(float(i), float(-i), 2.0 * i, 3) == 0.0 for i in range(-5, 6))
    values = np.array([gradient_noise(*p, 3) for p in points(500, 20.0)])
    assert 0.15 < values.std() < 0.5 and np.abs(values).max() < 1.2
    step = [gradient_noise(x, 0.3, 0.7, 3) for x in np.arange(-3, 3, 0.001)]
    assert np.abs(np.diff(step)).max() < 0.01


def test_cells_find_the_nearest_point_of_a_wider_search() -> None:
    for p in points(50, 5.0):
        best = []
        for di in range(-3, 4):
            for dj in range(-3, 4):
                for dk in range(-3, 4):
                    i, j, k = (int(np.floor(v)) + d for v, d in zip(p, (di, dj, dk), strict=True))
                    h = int(lattice_hash(i, j, k, 11))
                    jitter = np.array([h, slow_hash((h + 1) % 2**32), slow_hash((h + 2) % 2**32)]) / 2**32 - 0.5
                    best.append(np.linalg.norm(np.array([i, j, k]) + 0.5 + 0.5 * jitter - p))
        first, second, _ = cells(*p, 11, 0.5)
        assert first == pytest.approx(np.sort(best)[0], abs=1e-9)
        assert second == pytest.approx(np.sort(best)[1], abs=1e-9)


def test_octaves_finer_than_a_pixel_fade() -> None:
    rough = np.array([fractal(*p, 1, 5, 0.001) for p in points(800, 5.0)])
    coarse = np.array([fractal(*p, 1, 5, 0.2) for p in points(800, 5.0)])
    gone = np.array([fractal(*p, 1, 5, 5.0) for p in points(800, 5.0)])
    assert rough.std() > coarse.std() > 0
    assert (gone == 0).all()


def test_soft_step_is_the_box_filter_of_a_hard_edge() -> None:
    for d in np.linspace(-0.3, 0.3, 13):
        samples = d + 0.2 * (np.arange(2000) + 0.5) / 2000 - 0.1
        assert soft_step(d, 0.2) == pytest.approx((samples > 0).mean(), abs=1e-3)


def test_there_are_twelve_textures_and_more() -> None:
    assert len(TEXTURES) >= 12 and len(set(TEXTURES)) == len(TEXTURES)


@pytest.mark.parametrize("texture", TEXTURES)
def test_every_texture_shows_a_pattern_near_and_calms_down_far(texture: str) -> None:
    near, _ = painted(texture, points())
    far, _ = painted(texture, points(), footprint_m=3.0)
    assert np.isfinite(near).all() and near.min() >= 0 and near.max() <= 1
    assert near.std(0).max() > 0.02
    assert far.std(0).max() < 0.8 * near.std(0).max()
    again, _ = painted(texture, points())
    assert np.array_equal(near, again)


def test_textures_differ_from_each_other() -> None:
    looks = [painted(texture, points(500))[0].ravel() for texture in TEXTURES]
    for i in range(len(looks)):
        for j in range(i):
            assert np.abs(looks[i] - looks[j]).mean() > 0.02, (TEXTURES[i], TEXTURES[j])


def test_a_texture_has_means_near_its_samples() -> None:
    """Fading must not shift the mean: far away a checker is grey, not one of its colours."""
    near, _ = painted("checker", points(20000, 3.0))
    far, _ = painted("checker", points(100, 3.0), footprint_m=5.0)
    assert np.abs(near.mean(0) - far.mean(0)).max() < 0.03


def test_without_relief_normals_stay_and_with_it_they_bend_but_remain_unit() -> None:
    _, flat = painted("stone", points())
    assert (flat == [0, 0, 1]).all()
    _, bent = painted("stone", points(), bump=0.1)
    assert np.allclose(np.linalg.norm(bent, axis=1), 1, atol=1e-5)
    angle = np.degrees(np.arccos(np.clip(bent[:, 2], -1, 1)))
    assert np.median(angle) > 0.1 and np.quantile(angle, 0.9) < 60


def test_decals_print_blobs_on_part_of_the_surface() -> None:
    p = points(20000)
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    ink = np.array([decal(*q, 0.01, 5, 6) for q in p])
    assert 0.01 < (ink > 0.5).mean() < 0.4
    assert all(decal(*q, 0.01, 5, 0) == 0 for q in p[:10])


def test_pattern_dispatch_follows_the_list() -> None:
    mixes = [sum((pattern(kind, *p, 0.01, 3) for p in points(20)), ()) for kind in range(len(TEXTURES))]
    assert len(set(mixes)) == len(TEXTURES)


def test_mean_colour_lies_among_the_colours() -> None:
    colour = mean_colour(material("dots"))
    assert ((colour >= 0.1) & (colour <= 0.8)).all()
