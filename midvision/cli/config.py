"""What a person can write in `run.yaml`, in `--set` and in flags: one typed description, strict about keys.

Order of precedence: flag, environment, config file, default. The environment decides folders only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator

from midvision.core.errors import DataError, UsageError, nearest
from midvision.core.features import FeatureDtype, LayerWish
from midvision.core.places import cache_dir, output_dir
from midvision.core.settings import Settings
from midvision.core.specs import DataSpec, ProbeSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

Overwrite = Literal["never", "missing", "always"]


class RunConfig(Settings):
    """Everything `midvision run` needs. A single word is accepted wherever a list is."""

    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ("corrected",)
    data: DataSpec | None = None
    preset: Literal["tiny", "small", "base"] | None = None
    difficulty: Literal["easy", "base", "hard"] | None = None
    probes: tuple[ProbeSpec, ...] = ()
    weights: str | None = None
    seeds: tuple[int, ...] = (0,)
    layers: tuple[LayerWish, ...] | None = None
    image_size: tuple[int, int] | None = None
    final_norm: bool | None = None
    limit: int | None = Field(default=None, gt=0)
    train_images: int | None = Field(default=None, gt=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    feature_dtype: FeatureDtype = "float16"
    overrides: dict[str, Any] = Field(default_factory=dict)

    output: Path = Field(default_factory=output_dir)
    cache_dir: Path = Field(default_factory=cache_dir)
    cache: Literal["auto", "cached", "live"] = "auto"
    cache_limit_gib: float = Field(default=20.0, gt=0)
    data_root: Path | None = None
    batch_size: int | Literal["auto"] = "auto"
    workers: int = Field(default=0, ge=0)
    jobs: int | None = Field(default=None, ge=1)
    device: str = "auto"
    overwrite: Overwrite = "missing"
    resume: bool = True
    fail_fast: bool = False
    log_to: tuple[str, ...] = ()

    @field_validator("models", "tasks", "protocols", "probes", "seeds", "layers", "log_to", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: object) -> object:
        return (value,) if isinstance(value, str | int | float | dict) else value

    @field_validator("probes", mode="before")
    @classmethod
    def _probe_by_name(cls, value: object) -> object:
        several = (value,) if isinstance(value, str | dict) else value
        if not isinstance(several, list | tuple):
            return several
        return [{"name": one} if isinstance(one, str) else one for one in several]

    @field_validator("data", mode="before")
    @classmethod
    def _data_by_word(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        from midvision.run.plan import parse_data

        return parse_data(value).model_dump()

    @field_validator("image_size", mode="before")
    @classmethod
    def _square_by_side(cls, value: object) -> object:
        return (value, value) if isinstance(value, int) else value

    def data_spec(self) -> DataSpec | None:
        """The data asked for, with preset and difficulty where those were given beside it."""
        if self.data is None and self.preset is None and self.difficulty is None:
            return None
        changes = {"preset": self.preset, "difficulty": self.difficulty}
        given = {name: value for name, value in changes.items() if value is not None}
        return (self.data or DataSpec()).model_copy(update=given)


def load_config(file: Path | None, settings: list[str], flags: Mapping[str, Any]) -> RunConfig:
    """The run that config file, `--set` and flags describe together; later ones win."""
    values = read_yaml(file) if file else {}
    folders = {"output": "MIDVISION_OUTPUT", "cache_dir": "MIDVISION_CACHE", "data_root": "MIDVISION_DATA"}
    values = {name: value for name, value in values.items() if not os.environ.get(folders.get(name, ""))}
    for text in settings:
        _put(values, *_assignment(text))
    given = {name: value for name, value in flags.items() if value is not None}
    if isinstance(given.get("data"), str):
        # --data names reader and path; options set beside it stay.
        extra: dict[str, Any] = {}
        for path, value in map(_assignment, settings):
            if path[0] == "data" and len(path) > 1:
                _put(extra, path, value)
        given["data"] = {**checked({"data": given["data"]}, "--data").model_dump()["data"], **extra.get("data", {})}
    values.update(given)
    return checked(values, str(file) if file else "the options")


def read_yaml(file: Path) -> dict[str, Any]:
    """A mapping from a YAML file, by safe loading."""
    import yaml

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {file}: {error}.", "A YAML file is expected.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not valid YAML: {error}.", "A mapping of settings is expected.") from error
    if not isinstance(found or {}, dict):
        raise UsageError(f"{file} holds a {type(found).__name__}.", "A mapping of settings is expected.")
    return {str(name).replace("-", "_"): value for name, value in (found or {}).items()}


def _assignment(text: str) -> tuple[list[str], Any]:
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"--set {text!r} has no value.", "key=value is expected, such as --set data.preset=tiny.")
    try:
        parsed = yaml.safe_load(value) if value else ""
    except yaml.YAMLError as error:
        raise UsageError(f"--set {text!r} has a value that is not YAML: {error}.") from error
    return name.strip().replace("-", "_").split("."), parsed


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    for word in path[:-1]:
        below = values.get(word)
        values[word] = dict(below) if isinstance(below, dict) else {}
        values = values[word]
    values[path[-1]] = value


def checked(values: Mapping[str, Any], origin: str) -> RunConfig:
    """Values as a `RunConfig`, or an error that names the field's path and the nearest known key."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise UsageError(*_explained(error, origin)) from error


def _explained(error: ValidationError, origin: str) -> tuple[str, str]:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(RunConfig, [str(part) for part in first["loc"][:-1]])
        return f"Unknown key {path!r} in {origin}.", nearest(str(first["loc"][-1]), known)
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{path} in {origin}: {first['msg']}, got {first['input']!r}{more}.", ""


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the settings class at this path."""
    for word in path:
        if word.isdigit() or word not in model.model_fields:
            continue
        options = [model.model_fields[word].annotation]
        while options:
            kind = options.pop()
            if isinstance(kind, type) and issubclass(kind, Settings):
                model = kind
                break
            options.extend(get_args(kind))
    return list(model.model_fields)
