"""What computer vision used before learning, as one dense descriptor: gradients, colour, figure and ground.

Every cue is published and none is trained: DAISY (Tola et al. 2010), means and spreads of CIELAB
colour at four scales, contrast between scales (Itti et al. 1998), distance from the colours of the
image border, along straight and geodesic ways (Wei et al. 2012), how widely a cell's colour is
spread over the image (Liu et al. 2007), and the cell's place. All maps have one cell per 16 pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

STRIDE = 16
CHANNELS = 186
FIRST_CENTRE_PX = 8.0

_DAISY_RADIUS = 15
_SCALES_PX = (16, 32, 64, 128)
# Ways run over squares of 4 px; a step costs what the colour changes beyond a slope's 3 units of CIELAB.
_WAY_PX = 4
_FLAT, _STEP = 3.0, 0.2
_SIMILAR = (0.15, 0.3, 0.6)
# CIELAB in fiftieths: lightness 0 to 2, colour about -1 to 1.
_LAB_UNIT = 50.0
# Every cue gets a spread of about ten: each counts alike, and a probe trained in steps of fixed size arrives.
_WEIGHTS = (80.0, 60.0, 8.0, 9.0, 24.0, 22.0)
_GREY = (0.2125, 0.7154, 0.0721)


def classical_maps(images: Tensor) -> Tensor:
    """`[B, 3, H, W]` in [0, 1] to `[B, 186, H/16, W/16]`."""
    pixels = images.detach().cpu().float().clamp(0, 1)
    lab = _lab(pixels)
    parts = [_daisy(pixels), _scales(lab), _border(lab), _ways(lab), _spread(lab), _place(lab)]
    return torch.cat([part * scale for part, scale in zip(parts, _WEIGHTS, strict=True)], 1).to(images.device)


def _lab(pixels: Tensor) -> Tensor:
    from skimage.color import rgb2lab

    convert: Callable[..., np.ndarray] = rgb2lab
    lab = convert(pixels.numpy(), channel_axis=1)
    return torch.from_numpy(np.ascontiguousarray(lab)).float() / _LAB_UNIT


def _daisy(pixels: Tensor) -> Tensor:
    """104 channels. Taken at pixels 7 + 16 i, whose centres are at 7.5; its forward differences look
    half a pixel further along one axis each: 7.75 on average, a 64th of a cell off the centre.
    """
    from skimage.feature import daisy

    describe: Callable[..., np.ndarray] = daisy
    grey = (pixels.double() * torch.tensor(_GREY, dtype=torch.float64).view(1, 3, 1, 1)).sum(1).numpy()
    before = _DAISY_RADIUS - STRIDE // 2 + 1
    described = []
    for picture in grey:
        padded = np.pad(picture, ((before, before), (before, before)), mode="reflect")
        found = describe(
            padded, step=STRIDE, radius=_DAISY_RADIUS, rings=2, histograms=6, orientations=8, normalization="daisy"
        )
        described.append(torch.from_numpy(np.ascontiguousarray(found.transpose(2, 0, 1))))
    return torch.stack(described).float()


def _scales(lab: Tensor) -> Tensor:
    """58 channels: means, spreads and edges in windows around each cell, and contrasts between windows."""
    lightness = F.pad(lab[:, :1], (1, 1, 1, 1), mode="replicate")
    across = (lightness[..., 1:-1, 2:] - lightness[..., 1:-1, :-2]) / 2
    down = (lightness[..., 2:, 1:-1] - lightness[..., :-2, 1:-1]) / 2
    layers = torch.cat([lab, lab.square(), torch.hypot(across, down)], 1)
    means, rest = [lab.mean((2, 3), keepdim=True)], []
    for scale in _SCALES_PX:
        window = _windows(layers, scale)
        mean = window[:, :3]
        rest += [mean, (window[:, 3:6] - mean.square()).clamp_min(0).sqrt(), window[:, 6:]]
        rest += [(mean - other).abs() for other in means]
        means.append(mean)
    return torch.cat(rest, 1)


def _windows(layers: Tensor, scale_px: int) -> Tensor:
    """Means over squares around each cell's centre, of the pixels that lie in the image."""
    padding = (scale_px - STRIDE) // 2
    return F.avg_pool2d(layers, scale_px, STRIDE, padding, count_include_pad=False)


def _border(lab: Tensor) -> Tensor:
    """2 channels: Mahalanobis distance of each cell's colour from those of the outermost cells."""
    cells = F.avg_pool2d(lab, STRIDE)
    found = []
    for picture, cell in zip(lab, cells, strict=True):
        rim = picture[:, _rim(picture.shape[1], picture.shape[2], STRIDE)]
        inverse = torch.linalg.inv(torch.cov(rim) + 1e-3 * torch.eye(3))
        away = cell.flatten(1) - rim.mean(1, keepdim=True)
        distance = ((inverse @ away) * away).sum(0).clamp_min(0).sqrt().reshape(1, *cell.shape[1:])
        found.append(torch.cat([distance, distance.log1p()]))
    return torch.stack(found)


def _ways(lab: Tensor) -> Tensor:
    """3 channels: the cheapest way from the image border to the cell, where crossing edges costs."""
    from skimage.graph import MCP_Geometric

    found = []
    for picture in (F.avg_pool2d(lab, _WAY_PX) * _LAB_UNIT).numpy():
        down, across = (np.abs(slope).sum(0) for slope in np.gradient(picture, axis=(1, 2)))
        rim = _rim(picture.shape[1], picture.shape[2], 1).numpy()
        cost = np.maximum(0.0, 2 * np.hypot(down, across) - _FLAT) + _STEP
        costs, _ = MCP_Geometric(cost).find_costs(np.argwhere(rim))
        way = torch.from_numpy(costs).float()[None]
        found.append(torch.cat([way / _LAB_UNIT, (way / 10).log1p(), way / way.amax()]))
    return F.avg_pool2d(torch.stack(found), STRIDE // _WAY_PX)


def _spread(lab: Tensor) -> Tensor:
    """15 channels: where in the image a cell's colour occurs, how widely, how often, and at the border."""
    cells = F.avg_pool2d(lab, STRIDE // 2)
    height, width = cells.shape[2:]
    place = _coordinates(height, width).flatten(1).T
    rim = _rim(height, width, 1).float()
    found = []
    for cell in cells:
        colour = cell.flatten(1).T
        apart = torch.cdist(colour, colour)
        rows = []
        for similar in _SIMILAR:
            weight = torch.exp(-(apart / similar).square())
            total = weight.sum(1, keepdim=True)
            middle = weight @ place / total
            wide = (weight @ place.square() / total - middle.square()).sum(1)
            at_rim = weight @ rim.flatten() / total[:, 0]
            rows += [wide, at_rim, (total[:, 0] / len(colour)).log(), middle[:, 0].abs(), middle[:, 1]]
        found.append(torch.stack(rows).reshape(-1, height, width))
    return F.avg_pool2d(torch.stack(found), 2)


def _place(lab: Tensor) -> Tensor:
    """4 channels: x and y of the cell's centre, -1 to 1 over the image, and their squares."""
    place = _coordinates(lab.shape[2] // STRIDE, lab.shape[3] // STRIDE)
    return torch.cat([place, place.square()]).expand(len(lab), -1, -1, -1)


def _rim(height: int, width: int, wide: int) -> Tensor:
    """The outermost `wide` rows and columns, `[height, width]` bool."""
    rim = torch.ones(height, width, dtype=torch.bool)
    rim[wide : height - wide, wide : width - wide] = False
    return rim


def _coordinates(height: int, width: int) -> Tensor:
    y = (torch.arange(height) + 0.5) / height * 2 - 1
    x = (torch.arange(width) + 0.5) / width * 2 - 1
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])
