"""Light in a room by profile, and the sensor that sees it."""

from __future__ import annotations

import numpy as np

from midvision.synth.world_parts import RGB, Ambient, Axes, Light, Panel, Sensor, Vector, child
from midvision.synth.world_rooms import Setting

PROFILES = ("lamp", "window", "overcast", "dim", "two lamps", "back light")


def light_room(
    setting: Setting, axes: Axes, rng: np.random.Generator
) -> tuple[tuple[Light, ...], tuple[Panel, ...], Ambient]:
    """Lamps, what reflections show, and the light from all around."""
    profile = str(rng.choice(PROFILES, p=(0.28, 0.2, 0.14, 0.1, 0.16, 0.12)))
    panels = _panels(setting, rng)
    if axes.lighting == 0:
        return (), panels, Ambient((0.85, 0.85, 0.85), (0.45, 0.45, 0.45))
    if axes.lighting == 1:
        lamp = _lamp(setting, rng, (30.0, 70.0), (0.12, 0.2), 1.0, 0.15, 3)
        return (lamp,), panels, Ambient((0.5, 0.5, 0.5), (0.28, 0.27, 0.26))
    coloured = bool(rng.random() < 0.5) and axes.lighting == 3
    tint = 0.75 if coloured else 0.18
    fill = _lamp(setting, child(rng, "fill"), (15.0, 60.0), (0.25, 0.4), float(rng.uniform(0.08, 0.4)), tint, 1)
    around = float(rng.uniform(0.2, 0.5))
    lights: tuple[Light, ...]
    if profile == "overcast":
        lights = (_lamp(setting, rng, (60.0, 85.0), (0.4, 0.6), 0.45, 0.05, 3), fill)
        around = 0.75
    elif profile == "window":
        lights = (_lamp(setting, rng, (15.0, 35.0), (0.25, 0.45), 1.1, 0.1, 3), fill)
    elif profile == "dim":
        lights = (_lamp(setting, rng, (25.0, 60.0), (0.04, 0.12), 0.7, tint, 3),)
        around = 0.14
    elif profile == "two lamps":
        lights = (
            _lamp(setting, rng, (30.0, 65.0), (0.04, 0.12), 0.8, tint, 2),
            _lamp(setting, rng, (25.0, 60.0), (0.04, 0.14), 0.6, tint, 2),
        )
    elif profile == "back light":
        lights = (_lamp(setting, rng, (18.0, 40.0), (0.08, 0.2), 1.3, tint, 3), fill)
    else:
        lights = (_lamp(setting, rng, (30.0, 70.0), (0.03, 0.16), 1.0, tint, 3), fill)
    cool, level = rng.uniform(-0.06, 0.08), rng.uniform(0.35, 0.65)
    sky = (around * (1 - cool), around, around * (1 + cool))
    return lights, panels, Ambient(sky, (sky[0] * level * 1.05, sky[1] * level, sky[2] * level * 0.92))


def sample_sensor(axes: Axes, rng: np.random.Generator) -> Sensor:
    """What the sensor axis adds; exposure errors belong to the lighting axis."""
    noise, blur, vignette, jpeg, stops = rng.random(5).tolist()
    level = axes.sensor
    return Sensor(
        noise=(0.0, 0.008, 0.008 + 0.012 * noise, 0.01 + 0.025 * noise)[level],
        blur_px=(0.0, 0.0, 0.15 + 0.35 * blur, 0.2 + 0.6 * blur)[level],
        vignette=0.15 + 0.4 * vignette if level == 3 else 0.0,
        jpeg=int(55 + 40 * jpeg) if level == 3 else 0,
        exposure_stops=0.9 * (stops - 0.5) * 1.2 if axes.lighting == 3 else 0.0,
    )


def _lamp(
    setting: Setting,
    rng: np.random.Generator,
    elevation_deg: tuple[float, float],
    radius_m: tuple[float, float],
    strength: float,
    tint: float,
    rays: int,
) -> Light:
    """A lamp around the focus, inside the room; `strength` is its irradiance at the focus."""
    azimuth = rng.uniform(-np.pi, np.pi)
    if setting.scene_type == "shelf":
        # Light must come into the shelf, which opens towards -y.
        azimuth = -np.pi / 2 + 0.35 * azimuth
    elevation = np.radians(rng.uniform(*elevation_deg))
    distance, radius, warm = rng.uniform(1.6, 2.4), rng.uniform(*radius_m), rng.normal()
    way = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    x, y, height = setting.room.size_m
    margin = radius + 0.06
    limit = np.array([x / 2 - margin, y / 2 - margin, height - margin])
    place = np.clip(np.array(setting.focus) + distance * way, [-limit[0], -limit[1], setting.focus[2] + 0.3], limit)
    gap = float(np.sum((place - setting.focus) ** 2))
    colour: RGB = (1 + tint * warm * 0.5, 1.0, 1 - tint * warm * 0.6)
    low = min(colour)
    scale = strength * gap / max(1.0, 1.0 - low)
    red, green, blue = (max(value, 0.15) * scale for value in colour)
    position: Vector = (float(place[0]), float(place[1]), float(place[2]))
    return Light(position, float(radius), (red, green, blue), rays)


def _panels(setting: Setting, rng: np.random.Generator) -> tuple[Panel, ...]:
    """The windows, a lit ceiling field and a bright wall field, as reflections show them."""
    x, y, height = setting.room.size_m
    found = []
    for window in setting.windows[:2]:
        cx, cy, cz = window.world_from_solid[:3, 3].tolist()
        red, green, blue = window.emission
        sx, sy, sz = window.size_m
        half_u: Vector = (sx / 2, 0.0, 0.0) if sx > sy else (0.0, sy / 2, 0.0)
        glow: RGB = (1.6 * red, 1.6 * green, 1.6 * blue)
        found.append(Panel((cx, cy, cz), half_u, (0.0, 0.0, sz / 2), glow))
    u, v = rng.uniform(0.25, 0.6, 2).tolist()
    cx, cy = rng.uniform(-0.25, 0.25, 2).tolist()
    found.append(Panel((cx * x, cy * y, height), (u, 0.0, 0.0), (0.0, v, 0.0), (2.2, 2.15, 2.0)))
    side = float(rng.choice([-1.0, 1.0]))
    found.append(Panel((side * x / 2, cx * y, 1.5), (0.0, 0.6, 0.0), (0.0, 0.0, 0.5), (1.2, 1.25, 1.35)))
    return tuple(found)
