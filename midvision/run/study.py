"""A study: one typed declaration of many runs, expanded by one pure function.

A file in `studies/` declares a built-in study; a YAML file says the same keys, or some of them after
`extends: NAME`. What a network must be asked for (its readable layers, its stride) is looked up before and given
to `expand_study`, so the same study and facts always give the same runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import Field, field_validator

from midvision.core.catalog import discover
from midvision.core.errors import UsageError
from midvision.core.features import LayerWish
from midvision.core.settings import Settings
from midvision.core.specs import DataSpec, ProbeSpec, RunSpec
from midvision.run.models import Model
from midvision.run.plan import expand_runs

EVERY_LAYER = "every"
BUILT_IN_TASKS = (
    "synth-seg",
    "synth-depth",
    "synth-object-depth",
    "synth-normals",
    "synth-object-pairs",
    "synth-scene-pairs",
    "synth-triplets",
    "synth-labels",
)
DENSE_TASKS = ("synth-seg", "synth-depth", "synth-object-depth", "synth-normals")
MAP_TASKS = (*DENSE_TASKS, "synth-object-pairs", "synth-scene-pairs")
NINE_SETTINGS = (
    "voc07-seg",
    "voc12-seg",
    "nyu-depth",
    "navi-depth",
    "nyu-normals",
    "navi-normals",
    "navi-pairs",
    "scannet-pairs",
    "nights",
)
DENSE_SETTINGS = NINE_SETTINGS[:6]
MAP_SETTINGS = NINE_SETTINGS[:8]


class Study(Settings):
    """Every combination of models, tasks and what varies; a tuple of one leaves a thing as it is.

    `tasks` read the built-in suite, `benchmarks` are their twins on published data; `data` says which of the two
    (`auto`: benchmarks as far as they are prepared on this machine, else built-in). `random_init` takes, for every
    listed model, random weights of its architecture. `layers="every"` reads each readable layer by itself.
    `token_grids`: side of the last layer's map in cells; the image size follows from each network's stride, and is
    rounded up where the network asks for it. `train_images`: training images of the probe, None for all.
    `axes`: levels of difficulty axes that differ from `difficulty`, one mapping per variant. `high_level`: a
    person's CSV of high-level scores (model, set, value, source) for the analysis.
    """

    name: str
    title: str
    question: str
    models: tuple[str, ...]
    tasks: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    data: Literal["auto", "built-in", "benchmarks"] = "built-in"
    preset: Literal["tiny", "small", "base"] | None = None
    difficulty: Literal["easy", "base", "hard"] | None = None
    protocols: tuple[str, ...] = ("corrected",)
    probes: tuple[ProbeSpec, ...] = ()
    seeds: tuple[int, ...] = (0,)
    layers: tuple[LayerWish, ...] | Literal["every"] | None = None
    token_grids: tuple[int, ...] = ()
    train_images: tuple[int | None, ...] = (None,)
    axes: tuple[dict[str, int], ...] = Field(default=({},), min_length=1)
    limit: int | None = Field(default=None, gt=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    random_init: bool = False
    high_level: str | None = None

    @field_validator("probes", mode="before")
    @classmethod
    def _probe_by_name(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return [{"name": one} if isinstance(one, str) else one for one in value]

    @property
    def needs_facts(self) -> bool:
        """Whether networks must be looked at before the study can be expanded."""
        return self.layers == EVERY_LAYER or bool(self.token_grids)

    def chosen_tasks(self) -> tuple[str, ...]:
        """The tasks of the data that was chosen; `auto` must be settled before."""
        chosen = self.benchmarks if self.data == "benchmarks" else self.tasks
        if not chosen:
            kind = "benchmark" if self.data == "benchmarks" else "built-in"
            raise UsageError(
                f"Study {self.name!r} has no {kind} task.", "", "Name some: tasks or benchmarks, or --task."
            )
        return chosen


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What expanding some studies needs to know of a network: readable layers, stride of the last, size multiple."""

    layers: int
    stride: int
    size_multiple: int


def all_studies() -> dict[str, Study]:
    """Every built-in study by name."""
    return dict(_declared())


@cache
def _declared() -> dict[str, Study]:
    import midvision.run.studies as package

    return discover(package, "STUDY")


def models_of(study: Study) -> list[Model]:
    """The study's encoders; with `random_init` their untrained stand-ins, which say so in their ids."""
    names = dict.fromkeys(stand_in(name) if study.random_init else name for name in study.models)
    return [Model(name) for name in names]


def stand_in(model: str) -> str:
    """`random/ID`: the architecture of a listed model with random weights, other ones for every id."""
    if model.startswith(("control/", "random/")):
        return model
    if model.startswith("timm/"):
        return f"random/{model.removeprefix('timm/').partition('.')[0]}"
    if ":" in model or "/" in model:
        raise UsageError(
            f"{model} brings its own weights.", "Random ones are for listed models and timm/NAME.", "Leave it out."
        )
    return f"random/{model.partition('?')[0]}"


def expand_study(study: Study, facts: Mapping[str, NetworkFacts] | None = None) -> list[tuple[Model, RunSpec]]:
    """Every run of the study; `facts` by model id where `needs_facts`. A pure function of its arguments."""
    known = facts or {}
    tasks = study.chosen_tasks()
    probes: list[ProbeSpec | None] = list(study.probes) or [None]
    runs: list[tuple[Model, RunSpec]] = []
    for model in models_of(study):
        for changes in _readings(study, known.get(model.id)):
            for axes in study.axes:
                runs += expand_runs(
                    [model],
                    tasks,
                    protocols=study.protocols,
                    data=_data(study, axes),
                    probes=probes,
                    seeds=study.seeds,
                    template=RunSpec.model_validate({**_shared(study), **changes}),
                )
    return runs


def _shared(study: Study) -> dict[str, Any]:
    layers = None if study.layers == EVERY_LAYER else study.layers
    return {"model": "", "task": "", "layers": layers, "limit": study.limit, "precision": study.precision}


def _readings(study: Study, facts: NetworkFacts | None) -> Iterator[dict[str, Any]]:
    """How one network is read: its layers, image sizes and training sets, one by one."""
    layers: Sequence[dict[str, Any]] = ({},)
    sizes: Sequence[dict[str, Any]] = ({},)
    if study.needs_facts and facts is None:
        raise ValueError("this study needs the facts of every network")
    if study.layers == EVERY_LAYER and facts is not None:
        layers = [{"layers": (index,)} for index in range(facts.layers)]
    if study.token_grids and facts is not None:
        sizes = [{"image_size": size_for_grid(grid, facts)} for grid in study.token_grids]
    for layer in layers:
        for size in sizes:
            for number in study.train_images:
                yield {**layer, **size, "train_images": number}


def size_for_grid(cells: int, facts: NetworkFacts) -> tuple[int, int]:
    """Side in pixels whose last map has `cells` by `cells` cells, brought up to the network's multiple."""
    side = -(-cells * facts.stride // facts.size_multiple) * facts.size_multiple
    return side, side


def _data(study: Study, axes: Mapping[str, int]) -> DataSpec | None:
    if study.data == "benchmarks":
        return None
    options = {"axes": dict(axes)} if axes else {}
    return DataSpec(preset=study.preset, difficulty=study.difficulty, options=options)
