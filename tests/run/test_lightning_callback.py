"""The evaluator inside a Lightning `Trainer`: same weights as without, and the numbers in its loggers."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import midvision as mv
from midvision.core.errors import UsageError
from midvision.core.specs import DataSpec


def fit(callbacks: list[Any], folder: Path) -> tuple[dict[str, torch.Tensor], Any]:
    lightning: Any = importlib.import_module("lightning.pytorch")
    csv: Any = importlib.import_module("lightning.pytorch.loggers").CSVLogger

    class Student(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.BatchNorm2d(4), nn.Dropout(0.2))

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            return self.backbone(batch[0]).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    torch.manual_seed(0)
    student = Student()
    images = torch.utils.data.TensorDataset(torch.rand(8, 3, 64, 64))
    trainer = lightning.Trainer(
        max_steps=4, accelerator="cpu", logger=csv(str(folder)), callbacks=callbacks, log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(student, torch.utils.data.DataLoader(images, batch_size=4, shuffle=True))
    return student.state_dict(), trainer.logger


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_training_with_the_callback(memory_set: DataSpec, tmp_path: Path) -> None:
    evaluator = mv.Evaluator(
        every=2, tasks="depth", data=memory_set, output=tmp_path / "results", limit=8, first_centre_px=4.0,
        probe_size=(64, 64),
    )  # fmt: skip
    alone, _ = fit([], tmp_path / "alone")
    watched, logger = fit([evaluator.lightning_callback(part="backbone")], tmp_path / "watched")
    assert all(torch.equal(values, watched[name]) for name, values in alone.items())
    curve = mv.load_results(tmp_path / "results")
    assert sorted(record.extra["training"]["step"] for record in curve) == [2, 4]
    logger.save()
    table = (Path(logger.log_dir) / "metrics.csv").read_text(encoding="utf-8")
    assert "depth/delta1" in table.splitlines()[0]


def test_missing_lightning_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from midvision.run import lightning_callback

    def missing(name: str, *_: Any) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(lightning_callback.importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 'midvision\[lightning\]'"):
        lightning_callback.make_callback(None)  # type: ignore[arg-type]
