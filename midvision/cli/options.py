"""The words of the command line: one alias per flag, shared by the commands that take it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

WHAT, WHERE, HOW, TALK = "What to measure", "Folders", "How to run", "Output"


class Preset(StrEnum):
    """Sizes of the built-in suite."""

    tiny = "tiny"
    small = "small"
    base = "base"


class Difficulty(StrEnum):
    easy = "easy"
    base = "base"
    hard = "hard"


class Probe(StrEnum):
    ridge = "ridge"
    linear = "linear"
    multiscale = "multiscale"
    dpt = "dpt"


class Overwrite(StrEnum):
    never = "never"
    missing = "missing"
    always = "always"


class Precision(StrEnum):
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class FeatureDtype(StrEnum):
    float16 = "float16"
    float32 = "float32"


class Format(StrEnum):
    csv = "csv"
    json = "json"
    latex = "latex"
    markdown = "markdown"
    svg = "svg"
    pdf = "pdf"


class Tables(StrEnum):
    paper = "paper"


class Architecture(StrEnum):
    vit_b16 = "vit_b16"
    resnet50 = "resnet50"


HighLevel = Annotated[
    Path | None, typer.Option("--high-level", help="Your table of high-level scores: CSV with model,set,value,source.")
]

Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", help="Model id; repeat it, or use comma lists and globs.", rich_help_panel=WHAT),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task", "-t", help="Task id; repeat it, or use comma lists and globs. `synth` means all built-in tasks.",
        rich_help_panel=WHAT,
    ),
]  # fmt: skip
Protocols = Annotated[
    list[str] | None, typer.Option("--protocol", help="corrected (default) or paper.", rich_help_panel=WHAT)
]
Data = Annotated[
    str | None, typer.Option("--data", help="Your own data as READER:PATH, or a YAML file.", rich_help_panel=WHAT)
]
PresetFlag = Annotated[Preset | None, typer.Option("--preset", help="Size of the built-in data.", rich_help_panel=WHAT)]
DifficultyFlag = Annotated[
    Difficulty | None, typer.Option("--difficulty", help="Of the built-in data.", rich_help_panel=WHAT)
]
Probes = Annotated[list[Probe] | None, typer.Option("--probe", help="Probe to fit; repeatable.", rich_help_panel=WHAT)]
Weights = Annotated[str | None, typer.Option("--weights", help="Checkpoint for the model.", rich_help_panel=WHAT)]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Probe seed; repeatable.", rich_help_panel=WHAT)]
Layers = Annotated[
    str | None,
    typer.Option(help="Layers to read, such as 2,5,8,11 or 0.25,1.0. Makes the protocol custom.", rich_help_panel=WHAT),
]
ImageSize = Annotated[
    str | None, typer.Option(help="H or HxW in pixels. Makes the protocol custom.", rich_help_panel=WHAT)
]
FinalNorm = Annotated[
    bool | None,
    typer.Option(
        "--final-norm/--raw-blocks",
        help="Apply a transformer's last norm to every block read. Makes the protocol custom.",
        rich_help_panel=WHAT,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Keep N items, spread over classes and scenes. Marks the record.", rich_help_panel=WHAT),
]
Config = Annotated[Path | None, typer.Option("--config", help="Settings as YAML.", rich_help_panel=WHAT)]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="key=value, dots go deeper; repeatable.", rich_help_panel=WHAT)
]
DataRoot = Annotated[Path | None, typer.Option(help="Data folder (MIDVISION_DATA).", rich_help_panel=WHERE)]
Output = Annotated[
    Path | None, typer.Option(help="Results folder (MIDVISION_OUTPUT) [default: results].", rich_help_panel=WHERE)
]
CacheDir = Annotated[Path | None, typer.Option(help="Cache folder (MIDVISION_CACHE).", rich_help_panel=WHERE)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would run, then stop.", rich_help_panel=HOW)]
Resume = Annotated[
    bool | None, typer.Option("--resume/--no-resume", help="Take finished units from the output.", rich_help_panel=HOW)
]
OverwriteFlag = Annotated[
    Overwrite | None,
    typer.Option("--overwrite", help="missing repeats failed units too.", rich_help_panel=HOW),
]
BatchSize = Annotated[str | None, typer.Option(help="Images per pass: a number or auto.", rich_help_panel=HOW)]
TrainBatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Images per training step of a probe. Makes the protocol custom.", rich_help_panel=WHAT),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or auto.", rich_help_panel=HOW)]
PrecisionFlag = Annotated[Precision | None, typer.Option("--precision", rich_help_panel=HOW)]
FeatureDtypeFlag = Annotated[FeatureDtype | None, typer.Option("--feature-dtype", rich_help_panel=HOW)]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Threads that read images, processes that render scenes.", rich_help_panel=HOW)
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Processes on this machine [default: one per device].", rich_help_panel=HOW),
]
FailFast = Annotated[
    bool | None, typer.Option("--fail-fast/--keep-going", help="Stop at the first failure.", rich_help_panel=HOW)
]
LogTo = Annotated[
    list[str] | None,
    typer.Option("--log-to", help="tensorboard, wandb or mlflow; repeatable. Needs its extra.", rich_help_panel=HOW),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never touch the network.", rich_help_panel=HOW)]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="More words, and full tracebacks.", rich_help_panel=TALK)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Results and errors only.", rich_help_panel=TALK)]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="No bars.", rich_help_panel=TALK)]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=TALK)]
Results = Annotated[Path, typer.Argument(help="Results folder.")]
