"""A run group as a parcel: what a worker must be told, and what it hands back. Workers return values and write none.

An order names encoder and runs; the worker plans them again and opens the data on its own machine. The keys that the
driver found go along, so a worker whose data or weights differ says so instead of answering another question.
"""

from __future__ import annotations

import resource
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from midvision.core.errors import DataError, MidvisionError, UsageError
from midvision.core.progress import SILENT
from midvision.core.scores import Scores
from midvision.core.specs import RunSpec
from midvision.results.record import FailureRecord, ResultRecord
from midvision.run.describe import config_text, describe_failure, describe_result
from midvision.run.evaluate import Evaluation, evaluate_group
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.plan import RunGroup, Unit, group_units, plan_units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

KIBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class Product:
    """What became of one unit: a record with its scores and the probe's tensors, or a failure with its error."""

    key: str
    record: ResultRecord | None = None
    scores: Scores | None = None
    state: Mapping[str, Tensor] | None = None
    config: str = ""
    failure: FailureRecord | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class GroupOrder:
    """A group as plain values. `options` are the driver's, but for progress and trackers."""

    model: str
    weights: str | None
    runs: tuple[RunSpec, ...]
    keys: tuple[str, ...]
    options: RunOptions


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a worker sends back. `peak_bytes`: the most memory that its process has held so far."""

    products: tuple[Product, ...]
    peak_bytes: int = 0


class Executor(Protocol):
    """Carries groups out, in any order and anywhere, and hands the products of each to the only writer."""

    def run(self, groups: Sequence[RunGroup], options: RunOptions) -> Iterator[tuple[RunGroup, Sequence[Product]]]:
        """Every group exactly once, as soon as it is done."""
        ...


class InProcess:
    """Group after group in this process."""

    def run(self, groups: Sequence[RunGroup], options: RunOptions) -> Iterator[tuple[RunGroup, Sequence[Product]]]:
        for group in groups:
            yield group, produce(group, options)


def produce(group: RunGroup, options: RunOptions) -> tuple[Product, ...]:
    """Evaluate one group; a broken encoder fails its units, and a broken unit itself alone."""
    try:
        evaluations = evaluate_group(group, options)
    except Exception as error:
        if options.fail_fast:
            raise
        evaluations = [Evaluation(unit, error=error) for unit in group.units]
    return tuple(_product(evaluation, options) for evaluation in evaluations)


def _product(evaluation: Evaluation, options: RunOptions) -> Product:
    unit = evaluation.unit
    if evaluation.error is not None:
        return failed(unit, evaluation.error)
    state = evaluation.learner.state() if evaluation.learner else None
    record = describe_result(evaluation, options)
    return Product(unit.key, record, evaluation.scores, state, config_text(unit.spec))


def failed(unit: Unit, error: Exception) -> Product:
    text = "".join(traceback.format_exception(error))
    return Product(unit.key, failure=describe_failure(unit, error, text), error=error)


def order_of(group: RunGroup, options: RunOptions) -> GroupOrder:
    """The group as an order; an encoder that exists in this process only cannot be sent anywhere."""
    if group.model.given is not None:
        raise UsageError(
            f"{group.model.id} is an object of this process.",
            "Other processes and machines need an id that they can load.",
            "Save its weights and name them, such as file:PATH?arch=NAME or python:module:factory.",
        )
    # A worker's words would be lost or mixed up; the driver shows how far the whole is.
    plain = replace(options, progress=SILENT, log_to=(), cache_folder=options.cache_folder.absolute())
    keys = tuple(unit.key for unit in group.units)
    return GroupOrder(group.model.id, group.model.weights, tuple(unit.spec for unit in group.units), keys, plain)


def carry_out(order: GroupOrder, provenance: Mapping[str, Any] | None = None) -> Delivery:
    """What a worker does with an order."""
    group = _planned(order)
    products = produce(group, order.options)
    if provenance:
        products = tuple(_from(product, provenance) for product in products)
    return Delivery(tuple(_sendable(product) for product in products), peak_bytes())


def _planned(order: GroupOrder) -> RunGroup:
    model = Model(order.model, order.weights)
    units = plan_units([(model, spec) for spec in order.runs], workers=order.options.workers)
    groups = group_units(units)
    found = {unit.key for unit in units}
    if found != set(order.keys) or len(groups) != 1:
        other = [unit.task.name for unit, key in zip(units, order.keys) if unit.key != key]
        raise DataError(
            f"A worker found other data or weights for {order.model} ({', '.join(other) or 'grouping'}).",
            "Every machine must see the same data, weights and version of midvision.",
            "Put data and cache on a file system that all of them share, or prepare them alike.",
        )
    return groups[0]


def _from(product: Product, provenance: Mapping[str, Any]) -> Product:
    if product.record is None:
        return product
    return replace(product, record=replace(product.record, provenance={**product.record.provenance, **provenance}))


def _sendable(product: Product) -> Product:
    """Errors of libraries may hold what cannot be sent; ours arrive whole, others as their words."""
    if product.error is None or isinstance(product.error, MidvisionError):
        return product
    return replace(product, error=RuntimeError(f"{type(product.error).__name__}: {product.error}"))


def peak_bytes() -> int:
    """The most memory that this process has held. Linux counts it in KiB, macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else KIBIBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
