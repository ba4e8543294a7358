"""Settings from file, `--set` and flags: precedence, strictness, field paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from midvision.cli import work
from midvision.cli.config import RunConfig, checked, load_config
from midvision.core.errors import DataError, MidvisionError, UsageError
from midvision.core.specs import DataSpec, ProbeSpec, RunSpec
from midvision.run.describe import config_text


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_flags_win_over_set_and_set_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "models: [a, b]\ntasks: synth-depth\nlimit: 5\nworkers: 1\nbatch-size: 3\n")
    config = load_config(file, ["limit=6", "workers=2"], {"workers": 3, "limit": None})
    assert (config.models, config.tasks) == (("a", "b"), ("synth-depth",))
    assert (config.limit, config.workers, config.batch_size) == (6, 3, 3)


def test_the_environment_wins_over_the_file_for_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "output: from-file\n")
    monkeypatch.delenv("MIDVISION_OUTPUT", raising=False)
    assert load_config(file, [], {}).output == Path("from-file")
    monkeypatch.setenv("MIDVISION_OUTPUT", "from-environment")
    assert load_config(file, [], {}).output == Path("from-environment")
    assert load_config(file, [], {"output": "from-flag"}).output == Path("from-flag")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modles: [a]", ("modles", "models")),
        ("data: {sett: synthetic}", ("data.sett", "set")),
        ("probes: [{name: ridge, hiden: 3}]", ("probes.0.hiden", "hidden")),
        ("probes: [rigde]", ("probes.0.name", "ridge")),
        ("limit: none-at-all", ("limit", "integer")),
        ("limit: 0", ("limit", "greater than 0")),
        ("preset: huge", ("preset", "small")),
        ("image_size: [1, 2, 3]", ("image_size", "2 items")),
        ("- a\n- b", ("list", "mapping")),
        ("a: [", ("YAML", "mapping")),
        ("data: nonsense", ("READER:PATH",)),
    ],
)
def test_mistakes_are_told_with_their_field(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(written(tmp_path, text), [], {})
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_missing_file_is_an_error_about_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot read"):
        load_config(tmp_path / "none.yaml", [], {})


@pytest.mark.parametrize("text", ["novalue", "=3", "a=[1"])
def test_malformed_assignments(text: str) -> None:
    with pytest.raises(UsageError):
        load_config(None, [text], {})


def test_deep_assignments_reach_into_nested_settings() -> None:
    config = load_config(None, ["data.set=folder", "data.path=/x", "data.options.depth_scale=5000"], {})
    assert config.data == DataSpec(set="folder", path="/x", options={"depth_scale": 5000})


def test_words_stand_for_lists_and_probes_and_sizes() -> None:
    config = checked({"models": "a", "probes": "ridge", "seeds": 3, "image_size": 224, "layers": [2, 0.5, -1]}, "x")
    assert config.models == ("a",) and config.probes == (ProbeSpec(name="ridge"),) and config.seeds == (3,)
    assert config.image_size == (224, 224) and config.layers == (2, 0.5, -1)


def test_preset_and_difficulty_enter_the_data() -> None:
    assert RunConfig().data_spec() is None
    spec = RunConfig(preset="tiny", difficulty="hard").data_spec()
    assert spec is not None and (spec.set, spec.preset, spec.difficulty) == ("synthetic", "tiny", "hard")


def test_the_stored_config_of_a_run_can_be_run_again(tmp_path: Path) -> None:
    spec = RunSpec(
        model="control/pixels",
        task="synth-depth",
        data=DataSpec(preset="tiny", difficulty="base"),
        probe=ProbeSpec(name="ridge"),
        seed=3,
        limit=4,
    )
    config = load_config(written(tmp_path, config_text(spec)), [], {})
    ((model, again),) = work.planned(config)
    assert model.id == "control/pixels"
    assert again == spec


def test_image_sizes_and_layers_from_text() -> None:
    assert (
        work.size_pair("224") == (224, 224) and work.size_pair("448x336") == (448, 336) and work.size_pair(None) is None
    )
    assert work.layer_list("2,-1,0.5") == [2, -1, 0.5]
    for text in ("0", "1x2x3", "ax3", ""):
        with pytest.raises(UsageError):
            work.size_pair(text)


def test_globs_of_models_are_looked_up_and_other_ids_pass() -> None:
    found = work.model_ids(["control/p*", "timm/some_model,control/pixels", "file:a*b?arch=x"])
    assert found == ["control/pixels", "control/position", "timm/some_model", "file:a*b?arch=x"]
    with pytest.raises(MidvisionError):
        work.model_ids(["nothing/*"])


def test_the_line_to_resume_drops_what_would_start_over(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "midvision run -m a_b -t synth --overwrite always --no-resume --set x=1 --no_resume".split()
    monkeypatch.setattr("sys.argv", [*words, "with space"])
    assert work.resume_line() == "midvision run -m a_b -t synth --set x=1 'with space'"
    assert "--overwrite always" in work.command_line()
