"""The oracle: an encoder whose features are made from the truth, read by the same probes and matching.

What it scores is the ceiling that the grid leaves; its shuffled twin, which gives every image the
features of another one with the cells in another order, is the floor that any leak would lift.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from midvision.core.errors import DataError, UsageError
from midvision.core.features import EncoderInfo, FeaturePlan, Features, Grid, LayerInfo
from midvision.core.items import Dataset, DenseItem, Item, KeypointPairItem, LabelItem, PairItem, TripletItem
from midvision.core.settings import stable_hash
from midvision.extraction.shuffle import other_images, permuted_cells
from midvision.extraction.truth_maps import DENSE_CHANNELS, PLACE_CHANNELS, Keypoints, Places, dense_truth
from midvision.extraction.truth_vectors import label_vectors, triplet_vectors

ORACLE, SHUFFLED_ORACLE = "control/oracle", "control/shuffled-oracle"
VERSION = "3"
"""Of the features; part of the key, so that a cache never serves those of another version."""
CHANNELS, STRIDE, LAYERS = 128, 16, 4
HALF = CHANNELS // 2
QUIET = 0.01
"""Scale of dense truth in the last map, where the places' cosines decide."""
STRONG = 60.0
"""Scale of dense truth elsewhere: its few channels must move 256 depth bins in a trained probe's few steps."""
LOUD = 10.0
"""Length of triplet directions, so that class codes of the same image cannot turn a choice."""


class OracleEncoder:
    """Features from the truth of the data sets it is bound to, on a stride-16 grid at any input size.

    The first three maps hold cell means of dense targets, the last one places in space (and dense
    truth, faintly); pooled features hold triplet directions and class codes. `for_dataset` returns a
    new encoder that knows one more data set.
    """

    def __init__(self, name: str = ORACLE, datasets: tuple[Dataset, ...] = ()) -> None:
        if name not in (ORACLE, SHUFFLED_ORACLE):
            raise UsageError(f"There is no oracle {name!r}.", f"Known: {ORACLE}, {SHUFFLED_ORACLE}.")
        self.name, self.datasets = name, datasets
        bound = sorted(f"{d.content}/{d.split}/{d.fingerprint}" for d in datasets)
        self.key = f"{name}@{stable_hash(VERSION, *bound)}" if bound else name
        layer = LayerInfo(CHANNELS, STRIDE, STRIDE / 2)
        self.info = EncoderInfo(
            layers=(layer,) * LAYERS,
            kind="stages",
            stem_layers=0,
            pooled_channels=CHANNELS,
            has_class_token=False,
            register_tokens=0,
            pixel_mean=(0.0, 0.0, 0.0),
            pixel_std=(1.0, 1.0, 1.0),
            size_multiple=STRIDE,
            parameters=0,
        )

    def for_dataset(self, dataset: Dataset) -> OracleEncoder:
        """This oracle, knowing one more data set; a known one changes nothing."""
        known = {(d.content, d.split, d.fingerprint) for d in self.datasets}
        if (dataset.content, dataset.split, dataset.fingerprint) in known:
            return self
        return OracleEncoder(self.name, (*self.datasets, dataset))

    def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
        """Features of the named images; their pixels are not looked at."""
        for name in ids:
            self._check(name)
        maps = []
        cache: dict[tuple[Grid, bool], Tensor] = {}
        for layer in plan.layers if plan.maps else ():
            last = layer.index == LAYERS - 1
            if (layer.grid, last) not in cache:
                made = [self._map(name, layer.grid, last) for name in ids]
                cache[layer.grid, last] = torch.stack(made).to(images.device)
            maps.append(cache[layer.grid, last])
        pooled = None
        if plan.pooled != "none":
            pooled = torch.stack([self._vector(name) for name in ids]).to(images.device)
        return Features(tuple(maps), pooled)

    def _check(self, name: str) -> None:
        if name not in self._groups:
            raise DataError(
                f"{self.name} knows no truth of image {name!r}.",
                "The oracle gives features of the data sets it was bound to.",
                "Call encoder.for_dataset(dataset) first.",
            )

    def _map(self, name: str, grid: Grid, last: bool) -> Tensor:
        if self.name == SHUFFLED_ORACLE:
            return permuted_cells(self._true_map(self._shuffle[name], grid, last), name)
        return self._true_map(name, grid, last)

    def _true_map(self, name: str, grid: Grid, last: bool) -> Tensor:
        block = torch.zeros((CHANNELS, *grid.size))
        dense = block[PLACE_CHANNELS : PLACE_CHANNELS + DENSE_CHANNELS] if last else block[:DENSE_CHANNELS]
        for content, item in self._dense.get(name, ()):
            dense += dense_truth(content, item, grid) * (QUIET if last else STRONG)
        place = self._places.get(name)
        if last and place is not None:
            block[:PLACE_CHANNELS] = place.map(name, grid)
        return block

    def _vector(self, name: str) -> Tensor:
        source = self._shuffle[name] if self.name == SHUFFLED_ORACLE else name
        return self._vectors.get(source, torch.zeros(CHANNELS))

    @cached_property
    def _groups(self) -> dict[str, tuple[str, str]]:
        """Every bound image with what it serves and its group, as text."""
        serves: dict[str, list[str]] = {}
        groups: dict[str, str] = {}
        for dataset in self.datasets:
            for item in dataset.items:
                for image in item_images(item):
                    serves.setdefault(image, []).append(dataset.content)
                    groups.setdefault(image, item.group)
            for image in dataset.images:
                serves.setdefault(image, [])
                groups.setdefault(image, image)
        return {image: (" ".join(sorted(set(what))), groups[image]) for image, what in serves.items()}

    @cached_property
    def _shuffle(self) -> dict[str, str]:
        """Image -> another image that serves the same contents."""
        pools: dict[str, list[str]] = {}
        for image, (what, _) in self._groups.items():
            pools.setdefault(what, []).append(image)
        groups = {image: group for image, (_, group) in self._groups.items()}
        return {a: b for pool in pools.values() for a, b in other_images(pool, groups, self._partners).items()}

    @cached_property
    def _partners(self) -> dict[str, set[str]]:
        """Image -> images that it makes a pair with."""
        partners: dict[str, set[str]] = {}
        for dataset in self.datasets:
            for item in dataset.items:
                if isinstance(item, PairItem | KeypointPairItem):
                    a, b = item_images(item)
                    partners.setdefault(a, set()).add(b)
                    partners.setdefault(b, set()).add(a)
        return partners

    @cached_property
    def _dense(self) -> dict[str, list[tuple[str, DenseItem]]]:
        found: dict[str, list[tuple[str, DenseItem]]] = {}
        for dataset in self.datasets:
            for item in dataset.items:
                if isinstance(item, DenseItem):
                    others = found.setdefault(item.image, [])
                    if all(content != dataset.content for content, _ in others):
                        others.append((dataset.content, item))
        return found

    @cached_property
    def _places(self) -> dict[str, Places | Keypoints]:
        found: dict[str, Places | Keypoints] = {}
        for dataset in self.datasets:
            first = next(iter(dataset.items), None)
            if isinstance(first, PairItem | KeypointPairItem):
                places = Places(dataset) if isinstance(first, PairItem) else Keypoints(dataset)
                for image in places.images:
                    found.setdefault(image, places)
        return found

    @cached_property
    def _vectors(self) -> dict[str, Tensor]:
        """Image -> pooled vector: triplet direction in the first half, class code in the second."""
        triplets = [item for d in self.datasets for item in d.items if isinstance(item, TripletItem)]
        labels = [item for d in self.datasets for item in d.items if isinstance(item, LabelItem)]
        found: dict[str, Tensor] = {}
        with torch.inference_mode(False), torch.no_grad():
            directions, codes = triplet_vectors(triplets, HALF), label_vectors(labels, HALF)
        for image in {**directions, **codes}:
            vector = torch.zeros(CHANNELS)
            vector[:HALF] = LOUD * directions.get(image, torch.zeros(HALF))
            vector[HALF:] = codes.get(image, torch.zeros(HALF))
            found[image] = vector
        return found


def item_images(item: Item) -> tuple[str, ...]:
    """Ids of the images an item points at."""
    if isinstance(item, PairItem):
        return item.a.image, item.b.image
    if isinstance(item, KeypointPairItem):
        return item.image_a, item.image_b
    if isinstance(item, TripletItem):
        return item.reference, item.left, item.right
    return (item.image,)
