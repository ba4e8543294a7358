"""Reader options by `--set` stand beside `--data READER:PATH`."""

from __future__ import annotations

from midvision.cli.config import load_config


def test_options_set_beside_the_data_flag_are_kept() -> None:
    config = load_config(None, ["data.options.tiles=2x3"], {"data": "stereo:somewhere"})
    assert config.data is not None
    assert (config.data.set, config.data.path, config.data.options) == ("stereo", "somewhere", {"tiles": "2x3"})
