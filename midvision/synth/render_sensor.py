"""From light to an 8-bit picture: exposure and what a real sensor adds."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Picture
from scipy.ndimage import gaussian_filter

from midvision.synth.shading import to_srgb
from midvision.synth.world_parts import Sensor

KEY = 0.1


def exposure_for(radiance: np.ndarray) -> float:
    """The gain that brings the mean log luminance of `radiance [N, 3]` to a middle grey."""
    if not len(radiance):
        return 1.0
    luminance = radiance.astype(np.float64) @ [0.2126, 0.7152, 0.0722]
    return float(KEY * 2.2 / np.exp(np.mean(np.log(luminance + 1e-3))))


def developed(display: np.ndarray, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """uint8 `[H, W, 3]` from linear display values in [0, 1]: blur, vignette, noise, sRGB, JPEG."""
    height, width = display.shape[:2]
    if sensor.blur_px > 0:
        display = gaussian_filter(display, (sensor.blur_px, sensor.blur_px, 0), mode="nearest")
    if sensor.vignette > 0:
        y, x = np.indices((height, width))
        off = ((y + 0.5) / height - 0.5) ** 2 + ((x + 0.5) / width - 0.5) ** 2
        display = display * (1 - sensor.vignette * 2 * off)[..., None].astype(np.float32)
    if sensor.noise > 0:
        # Shot noise grows with the root of the light; a floor is read out with it.
        spread = sensor.noise * np.sqrt(display + 0.05)
        display = display + spread * rng.standard_normal(display.shape, dtype=np.float32)
    rgb = np.rint(to_srgb(display.astype(np.float32)) * 255).astype(np.uint8)
    return _through_jpeg(rgb, sensor.jpeg) if sensor.jpeg else rgb


def _through_jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Picture.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return np.asarray(Picture.open(buffer).convert("RGB"))
