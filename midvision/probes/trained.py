"""A probe fitted by gradient steps: candidates of several rates side by side on the same batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from midvision.core.errors import DataError
from midvision.core.features import FeaturePlan, Features
from midvision.core.items import DenseItem, Target
from midvision.core.seeds import torch_generator
from midvision.core.specs import ProbeSpec, Protocol
from midvision.core.threads import in_threads
from midvision.probes.probe import DenseProbe, build_probe
from midvision.probes.problem import DenseProblem
from midvision.probes.schedule import Phase, plan_phases, rate_factor
from midvision.probes.truth import best_constant, checked_target, teaching_pixels


@dataclass(slots=True)
class Candidate:
    """A probe in training at one peak rate, and how it did on the held-out images."""

    rate: float
    probe: DenseProbe
    optimiser: torch.optim.AdamW
    total: float = 0.0
    scored: int = 0

    @property
    def score(self) -> float | None:
        return self.total / self.scored if self.scored else None


@dataclass(frozen=True, slots=True)
class TrainedReadout:
    """The fitted probe. See `probes.dense.DenseReadout` for `batch_images`."""

    probe: DenseProbe
    batch_images: int | None

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        rows = int(features.maps[0].shape[0])
        # One image at a time on a processor: the same bits whatever the batch, and little memory.
        step = self.batch_images or (1 if features.maps[0].device.type == "cpu" else rows)
        parts = [
            self.probe.predict([m[start : start + step] for m in features.maps], size) for start in range(0, rows, step)
        ]
        return torch.cat(parts)


class TrainedLearner:
    """Buffers its images in arrival order and steps on full batches; an epoch's rest is a batch too."""

    def __init__(
        self,
        problem: DenseProblem,
        protocol: Protocol,
        probe: ProbeSpec,
        plan: FeaturePlan,
        items: Sequence[DenseItem],
        score: Callable[[Tensor, Target], float],
        seed: int,
        device: str,
    ) -> None:
        self._problem, self._protocol, self._spec, self._plan = problem, protocol, probe, plan
        self._items = {item.image: item for item in items}
        self._score, self._seed, self._device = score, seed, device
        self._phases = plan_phases(items, protocol.train, probe, seed)
        self.epochs = sum(phase.visits for phase in self._phases)
        self._candidates: list[Candidate] = []
        self._buffer: list[tuple[str, tuple[Tensor, ...]]] = []
        self._step = 0
        self._chosen: Candidate | None = None
        self._compared: list[dict[str, float | None]] = []

    def wants(self, epoch: int) -> Sequence[str]:
        found = self._locate(epoch)
        if found is None:
            return ()
        phase, visit = found
        return phase.images if visit < phase.epochs else phase.held_out

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        phase, visit = self._where(epoch)
        if not self._candidates:
            self._candidates = self._start(phase)
        for row, image in enumerate(ids):
            maps = tuple(m[row] for m in features.maps)
            if visit == phase.epochs:
                self._judge(image, maps)
                continue
            self._buffer.append((image, maps))
            if len(self._buffer) == self._protocol.train.batch_images:
                self._train(phase)

    def end_epoch(self, epoch: int) -> None:
        phase, visit = self._where(epoch)
        if self._buffer:
            self._train(phase)
        if visit == phase.visits - 1:
            self._finish(phase)

    @property
    def readout(self) -> TrainedReadout:
        batch_statistics = self._problem.kind == "mask" and self._protocol.head.batchnorm_at_test == "batch"
        return TrainedReadout(self._winner().probe, self._protocol.train.batch_images if batch_statistics else None)

    @cached_property
    def constant(self) -> Tensor:
        return best_constant(self._problem, list(self._items.values()), self._score)

    def record(self) -> Mapping[str, Any]:
        winner, last = self._winner(), self._phases[-1]
        return {
            "probe": self._spec.name,
            "rate": winner.rate,
            "constant_rate": self._spec.constant_rate is not None,
            "candidates": self._compared,
            "steps": last.steps,
            "epochs": last.epochs,
            "batch_images": self._protocol.train.batch_images,
            "train_images": len(last.images),
            "choice_images": len(self._phases[0].images) if self._compared else 0,
            "held_out_images": len(self._phases[0].held_out),
            "parameters": sum(p.numel() for p in winner.probe.parameters()),
        }

    def state(self) -> Mapping[str, Tensor]:
        return {name: value.detach().cpu() for name, value in self._winner().probe.state_dict().items()}

    def _locate(self, epoch: int) -> tuple[Phase, int] | None:
        for phase in self._phases:
            if epoch < phase.visits:
                return phase, epoch
            epoch -= phase.visits
        return None

    def _where(self, epoch: int) -> tuple[Phase, int]:
        found = self._locate(epoch)
        if found is None:
            raise RuntimeError(f"epoch {epoch} of {self.epochs}")
        return found

    def _winner(self) -> Candidate:
        if self._chosen is None:
            raise RuntimeError("the probe is not trained yet")
        return self._chosen

    def _start(self, phase: Phase) -> list[Candidate]:
        """Equal initial weights for every rate; a later phase trains at the rate chosen before."""
        self._step = 0
        rates = phase.rates or (self._winner().rate,)
        return [self._candidate(rate) for rate in rates]

    def _candidate(self, rate: float) -> Candidate:
        generator = torch_generator("probe init", self._seed, self._problem.kind, self._spec.name)
        probe = build_probe(self._problem, self._protocol, self._spec, self._plan, generator).to(self._device).train()
        decay = self._protocol.train.weight_decay
        return Candidate(rate, probe, torch.optim.AdamW(probe.parameters(), lr=rate, weight_decay=decay))

    def _train(self, phase: Phase) -> None:
        batch, self._buffer = self._buffer, []
        if self._step >= phase.steps:
            return
        truth, mask = self._truth([image for image, _ in batch])
        maps = [torch.stack(level) for level in zip(*(maps for _, maps in batch))]
        warmup = self._protocol.train.warmup_share * phase.steps
        factor = 1.0 if self._spec.constant_rate is not None else rate_factor(self._step, phase.steps, warmup)
        for candidate in self._candidates:
            for group in candidate.optimiser.param_groups:
                group["lr"] = candidate.rate * factor
            candidate.probe.loss(maps, truth, mask).backward()  # type: ignore[no-untyped-call]
            candidate.optimiser.step()
            # Gradients go at once: between steps a probe holds its weights and moments, nothing else.
            candidate.optimiser.zero_grad(set_to_none=True)
        self._step += 1

    def _truth(self, images: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Truth `[B, K, H, W]` (0 where not taught) and mask `[B, 1, H, W]` of a batch."""
        targets = in_threads(lambda image: checked_target(self._problem, self._items[image]), images)
        if len({target.values.shape for target in targets}) > 1:
            raise DataError(f"Truth of {images[0]!r} and its batch differ in size.", "One frame size is expected.")
        masks = torch.stack([teaching_pixels(self._problem, target) for target in targets])
        truth = torch.stack([target.values.float() for target in targets])
        return torch.where(masks, truth, torch.zeros_like(truth)).to(self._device), masks.to(self._device)

    def _judge(self, image: str, maps: tuple[Tensor, ...]) -> None:
        target = self._items[image].target()
        size = (int(target.values.shape[-2]), int(target.values.shape[-1]))
        for candidate in self._candidates:
            candidate.probe.eval()
            value = self._score(candidate.probe.predict([m[None] for m in maps], size)[0].cpu(), target)
            if value == value:
                candidate.total, candidate.scored = candidate.total + value, candidate.scored + 1

    def _finish(self, phase: Phase) -> None:
        """Keep the candidate with the best held-out score; ties go to the default rate."""
        if phase.held_out:
            self._compared = [{"rate": c.rate, "score": c.score} for c in self._candidates]
        best = max(c.score if c.score is not None else float("-inf") for c in self._candidates)
        level = [c for c in self._candidates if (c.score if c.score is not None else float("-inf")) == best]
        default = [c for c in level if c.rate == self._protocol.train.default_rate]
        self._chosen = (default or level)[0]
        self._chosen.probe.eval().requires_grad_(False)
        self._candidates = []
