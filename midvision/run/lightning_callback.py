"""`mv.Evaluator` as a Lightning callback; Lightning is imported when one is made."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from midvision.core.errors import UsageError
from midvision.run.trackers import Logged

if TYPE_CHECKING:
    from midvision.run.evaluator import Evaluator


class LoggerTracker:
    """Hands the numbers to the loggers of a `Trainer`."""

    name = "Lightning loggers"

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def on_run_start(self, description: Any) -> None:
        """The trainer's loggers have a run of their own."""

    def on_unit_end(self, logged: Logged) -> None:
        for logger in self._trainer.loggers:
            logger.log_metrics(dict(logged.values), step=logged.step)

    def on_run_end(self, summary: Any) -> None:
        """It ends with the training."""


def make_callback(evaluator: Evaluator, part: str | None = None) -> Any:
    """A callback that calls `evaluator` after every optimiser step with the module, or its submodule `part`."""
    base: Any = _callback_class()

    class MidvisionCallback(base):  # type: ignore[misc]
        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            evaluator.add_tracker(LoggerTracker(trainer))

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any, **__: Any) -> None:
            if trainer.is_global_zero:
                evaluator(trainer.global_step, pl_module.get_submodule(part) if part else pl_module)

        def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
            evaluator.close()

    return MidvisionCallback()


def _callback_class() -> Any:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return importlib.import_module(name).Callback
        except ModuleNotFoundError:
            continue
    raise UsageError(
        "The Lightning callback needs Lightning, which is not installed.",
        "",
        "Install it: pip install 'midvision[lightning]'",
    )
