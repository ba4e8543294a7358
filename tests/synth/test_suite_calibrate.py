"""The descriptor sees what it should, and equal steps have equal effect."""

from __future__ import annotations

import numpy as np
import pytest

from midvision.synth.calibrate import GRID, LARGEST, descriptor, equal_steps, oklab, visible_change


def test_oklab_of_known_colours() -> None:
    """White, black and sRGB red; red's value is the published one (0.628, 0.225, 0.126)."""
    lab = oklab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]], np.uint8))
    assert np.allclose(lab, [[1, 0, 0], [0, 0, 0], [0.628, 0.2249, 0.1258]], atol=2e-3)


def test_change_grows_with_difference_and_is_zero_for_equal() -> None:
    rgb = np.random.default_rng(0).integers(40, 200, (32, 32, 3), dtype=np.uint8)
    changes = [visible_change(rgb, rgb + np.uint8(step)) for step in (0, 5, 20, 50)]
    assert changes[0] == 0 and changes == sorted(changes) and changes[-1] > 0
    assert descriptor(rgb).ndim == 1


def test_equal_steps_on_straight_responses() -> None:
    """Responses c * amount give steps proportional to 1 / c, none above its largest."""
    slopes = {name: 0.5 + i for i, name in enumerate(GRID)}
    steps = equal_steps({name: slopes[name] * np.array(GRID[name]) for name in GRID})
    effects = [slopes[name] * steps[name] for name in GRID]
    assert effects == pytest.approx([effects[0]] * len(effects))
    assert all(steps[name] <= LARGEST[name] + 1e-12 for name in GRID)
    assert any(steps[name] == pytest.approx(LARGEST[name]) for name in GRID)
