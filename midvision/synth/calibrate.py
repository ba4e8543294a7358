"""How the triplets' step table was made: the amount of every factor that changes a simple descriptor equally.

    python -m midvision.synth.calibrate [worlds]

prints the table that `variations.STEPS` holds. The descriptor is fixed: colour and its gradients at
four scales in a perceptual colour space, weighed so that a just visible change of either counts alike.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from midvision.synth.cameras import sample_camera
from midvision.synth.render import Renderer
from midvision.synth.suite import generator
from midvision.synth.variations import CONTENT, NUISANCES, Shot, edit_raw
from midvision.synth.world import Axes, sample_world

SIZE = (64, 64)
SCALES_PX = (1.0, 2.0, 4.0, 8.0)
# Amounts tried per factor, in its own unit, from barely visible to the largest that stays sensible.
GRID: Mapping[str, Sequence[float]] = {
    "shape": (0.05, 0.1, 0.2, 0.4),
    "pose": (0.1, 0.2, 0.4, 0.8),
    "layout": (0.01, 0.02, 0.04, 0.08),
    "material": (0.1, 0.2, 0.5, 1.0),
    "colour": (0.1, 0.2, 0.4, 0.8),
    "lighting": (0.1, 0.2, 0.5, 1.0),
    "viewpoint": (0.01, 0.03, 0.08, 0.2),
    "background": (0.05, 0.1, 0.3, 0.8),
}
# Steps are scaled together until none is larger than this: four of the largest step must make sense.
LARGEST: Mapping[str, float] = {
    "shape": 0.12,
    "pose": 0.35,
    "layout": 0.03,
    "material": 0.45,
    "colour": 0.24,
    "lighting": 0.40,
    "viewpoint": 0.10,
    "background": 0.24,
}


def oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB uint8 `[..., 3]` -> Oklab, lightness 0 to 1 (Ottosson 2020)."""
    value = rgb / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.asarray(np.cbrt(linear @ to_lms.T) @ to_lab.T)


def descriptor(rgb: np.ndarray) -> np.ndarray:
    """Smoothed Oklab colour and its gradients at four scales, one vector."""
    lab = oklab(rgb)
    parts = []
    for scale in SCALES_PX:
        smooth = gaussian_filter(lab, (scale, scale, 0))
        step = max(1, int(scale))
        rows, columns = np.gradient(smooth, axis=(0, 1))
        parts += [plane[::step, ::step].ravel() * step for plane in (smooth, rows * scale, columns * scale)]
    return np.concatenate(parts)


def visible_change(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference of two pictures' descriptors."""
    return float(np.sqrt(np.mean((descriptor(a) - descriptor(b)) ** 2)))


def response(worlds: int) -> dict[str, np.ndarray]:
    """Mean change per factor at each amount of its grid, over calibration worlds that no split uses."""
    sums = {factor: np.zeros(len(GRID[factor])) for factor in (*CONTENT, *NUISANCES)}
    for index in range(worlds):
        purpose = ("calibration", index)
        world = sample_world(Axes(), generator(*purpose, "world"), "salient", n_objects=range(2, 5))
        shot = Shot(world, sample_camera(world, Axes(), generator(*purpose, "cameras"), SIZE))
        # One sensor stream for all pictures of a world: its noise must not count as change.
        reference = picture(shot, *purpose)
        for factor, amounts in GRID.items():
            for i, amount in enumerate(amounts):
                sums[factor][i] += visible_change(
                    reference, picture(edit_raw(shot, factor, amount, *purpose), *purpose)
                )
    return {factor: total / worlds for factor, total in sums.items()}


def picture(shot: Shot, *purpose: str | int) -> np.ndarray:
    return Renderer(shot.world).render(shot.camera, generator(*purpose, "sensor")).rgb


def equal_steps(means: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Amounts with equal mean change, as large as the factor that allows least."""
    change = min(float(np.interp(LARGEST[name], [0, *GRID[name]], [0, *mean])) for name, mean in means.items())
    return {name: float(np.interp(change, [0, *mean], [0, *GRID[name]])) for name, mean in means.items()}


if __name__ == "__main__":
    measured = response(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    for factor_name, change_means in measured.items():
        print(f"# {factor_name}: " + ", ".join(f"{value:.4f}" for value in change_means))
    for factor_name, step_size in equal_steps(measured).items():
        print(f'    "{factor_name}": {step_size:.3f},')
