"""One part of a data set through the local operators of a segment, in one fused pass.

The part's rows go through in batches; a batch goes through all operators before the next one is
read. Where operators look at pixels, rows go through those in small groups, so that a picture is
decoded once and forgotten soon. What an operator fails on is tried again row by row.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fovea.errors import BackendError, ConfigError, DataError
from fovea.synth.batch import Batch, joined
from fovea.synth.ledger import Counts, Entry, Failure
from fovea.synth.operator import Deduplicator, Filter, Mapper, Operator, Selector
from fovea.synth.pictures import Pictures
from fovea.synth.plan import Handling, Plan, Segment, Step
from fovea.synth.sample import META, STATS, Sample
from fovea.synth.source import Line, Part, read
from fovea.synth.trace import Traces
from fovea.synth.validators import validate

BATCH_ROWS = 1000
PIXEL_ROWS = 16


@dataclass
class Outcome:
    """What came of a part, beside its rows."""

    counts: Counts = field(default_factory=Counts)
    entries: list[Entry] = field(default_factory=list[Entry])
    traces: Traces = field(default_factory=Traces)
    seconds: dict[str, float] = field(default_factory=dict[str, float])


class Pass:
    """Batches through the operators of a segment.

    Args:
        plan: the whole.
        segment: which operators.
        outcome: where counts and failures go.
    """

    def __init__(self, plan: Plan, segment: Segment, outcome: Outcome) -> None:
        self.handling: Handling = plan.handling
        self.only_measures = plan.only_measures
        self.segment = segment
        self.outcome = outcome
        self.where: dict[int, tuple[str, int]] = {}
        """File and line of each row of the batch at work."""
        for step in (*segment.steps, *([segment.barrier] if segment.barrier else [])):
            step.operator.load()

    def through(self, batch: Batch) -> tuple[Batch, dict[str, np.ndarray]]:
        """The batch after all operators, and the barrier's keys of its rows."""
        steps = list(self.segment.steps)
        costs = [step.operator.cost for step in steps]
        barrier = self.segment.barrier
        dear = [n for n, cost in enumerate(costs) if cost in ("pixels", "model")]
        looks = barrier is not None and barrier.operator.cost == "pixels"
        first = dear[0] if dear else len(steps)
        past = len(steps) if looks else (dear[-1] + 1 if dear else first)
        first = min(first, past)
        for step in steps[:first]:
            batch = self.apply(step, batch)
        batch = batch.compact()
        if first < past or looks:
            batch, keys = self._in_groups(steps[first:past], batch, with_keys=looks)
        else:
            keys = None
        for step in steps[past:]:
            batch = self.apply(step, batch)
        batch = batch.compact()
        if barrier is not None and keys is None:
            batch, keys = self.keys(barrier, batch)
        batch.pictures.release()
        return batch, keys or {}

    def _in_groups(
        self, steps: Sequence[Step], batch: Batch, *, with_keys: bool
    ) -> tuple[Batch, dict[str, np.ndarray] | None]:
        done: list[Batch] = []
        keys: list[dict[str, np.ndarray]] = []
        size = max([PIXEL_ROWS, *(getattr(s.operator, "batch_size", 0) or 0 for s in steps)])
        for at in range(0, max(len(batch), 1), size):
            group = batch.taken(np.arange(at, min(at + size, len(batch))))
            for step in steps:
                group = self.apply(step, group)
            group = group.compact()
            if with_keys and self.segment.barrier:
                group, found = self.keys(self.segment.barrier, group)
                keys.append(found)
            done.append(group)
            batch.pictures.release()
        whole = joined(done)
        if not with_keys:
            return whole, None
        return whole, {name: np.concatenate([k[name] for k in keys]) for name in keys[0]}

    def apply(self, step: Step, batch: Batch) -> Batch:
        """The batch after one operator; dropped rows may still be in it."""
        began = time.perf_counter()
        count = self.outcome.counts.step(step.label)
        operator = step.operator
        is_dear = operator.cost != "cheap" or isinstance(operator, Mapper)
        if is_dear or int(batch.alive.sum()) * 2 < len(batch):
            batch = batch.compact()
        count.seen += int(batch.alive.sum())
        if isinstance(operator, Filter):
            batch = self._filtered(step, operator, batch)
        elif isinstance(operator, Mapper):
            batch = self._mapped(step, operator, batch)
        spent = time.perf_counter() - began
        self.outcome.seconds[step.label] = self.outcome.seconds.get(step.label, 0.0) + spent
        return batch

    def _filtered(self, step: Step, operator: Filter, batch: Batch) -> Batch:
        if not batch.has(operator.measured()):
            batch = self._measured(step, operator, batch)
        if self.only_measures or not len(batch):
            return batch
        stats = {name: batch.stats[name] for name in operator.measured()}
        keep = operator.keep(stats)
        dropped = batch.drop(keep)
        self.outcome.counts.step(step.label).dropped += int(dropped.sum())
        self._trace_dropped(step, batch, dropped)
        return batch

    def _measured(self, step: Step, operator: Filter, batch: Batch) -> Batch:
        with Failure() as failure:
            for name, column in operator.measure(batch).items():
                batch.put(name, column)
        if failure.error is None:
            return batch

        def measure(row: Batch) -> Batch:
            for name, column in operator.measure(row).items():
                row.put(name, list(column))
            return row

        return self._one_by_one(step, batch.compact(), measure, failure.error)

    def _mapped(self, step: Step, operator: Mapper, batch: Batch) -> Batch:
        count = self.outcome.counts.step(step.label)
        before, numbers, errors = list(batch.rows), batch.numbers, count.errors
        fallback = batch.taken(np.arange(len(batch)))
        mapped = batch
        with Failure() as failure:
            mapped = operator.map(batch)
        if failure.error is not None:
            mapped = self._one_by_one(step, fallback, operator.map, failure.error)
        count.made += len(mapped) - (len(before) - (count.errors - errors))
        self._note_changes(step, before, numbers, mapped)
        return mapped

    def _note_changes(
        self, step: Step, before: list[Sample], numbers: np.ndarray, after: Batch
    ) -> None:
        count = self.outcome.counts.step(step.label)
        if len(before) == len(after) and np.array_equal(numbers, after.numbers):
            pairs = [
                (old, new) for old, new in zip(before, after.rows, strict=True) if old is not new
            ]
        else:
            olds = {id(row) for row in before}
            by_number = dict(zip(numbers.tolist(), before, strict=True))
            pairs = [
                (by_number[number], new)
                for number, new in zip(after.numbers.tolist(), after.rows, strict=True)
                if id(new) not in olds
            ]
        count.changed += len(pairs)
        if pairs and "stale_statistics" not in self.handling.compat:
            after.stale |= set(after.stats)
        if self._is_traced(step):
            for old, new in pairs:
                self.outcome.traces.mapped(step.label, old, new, self.handling)

    def _one_by_one(self, step: Step, batch: Batch, work: Any, error: Exception) -> Batch:
        """Try every row alone; those that fail go to the ledger."""
        self._insist(step, error)
        done: list[Batch] = []
        count = self.outcome.counts.step(step.label)
        for number in range(len(batch)):
            row = batch.taken(np.array([number]))
            with Failure() as failure:
                done.append(work(row))
            if failure.error is not None:
                self._insist(step, failure.error)
                self.enter(
                    step.label, batch.rows[number], int(batch.numbers[number]), failure.error
                )
                count.errors += 1
        return joined(done) if done else batch.taken(np.zeros(0, np.int64))

    def _insist(self, step: Step, error: Exception) -> None:
        """Stop where nothing may be skipped, or where no row could succeed."""
        skips = step.operator.skip_op_error
        skips = self.handling.skip_errors if skips is None else skips
        if isinstance(error, BackendError | ConfigError) or not skips:
            raise error

    def enter(self, label: str, sample: Sample | None, number: int, error: Exception) -> None:
        """Write a row into the ledger."""
        file, line = self.where.get(number, ("", 0))
        found = (sample or {}).get("id")
        message = str(error) or type(error).__name__
        self.outcome.entries.append(
            Entry(number, line, file, found, label, type(error).__name__, message)
        )

    def keys(self, step: Step, batch: Batch) -> tuple[Batch, dict[str, np.ndarray]]:
        """What the barrier compares of each row; rows that have none go to the ledger."""
        operator = step.operator
        count = self.outcome.counts.step(step.label)
        count.seen += len(batch)
        with Failure() as failure:
            return batch, self._hashed(operator, batch)
        assert failure.error is not None, "it returned otherwise"
        self._insist(step, failure.error)
        good: list[int] = []
        found: list[dict[str, np.ndarray]] = []
        for number in range(len(batch)):
            with Failure() as failure:
                found.append(self._hashed(operator, batch.taken(np.array([number]))))
                good.append(number)
            if failure.error is not None:
                self._insist(step, failure.error)
                self.enter(
                    step.label, batch.rows[number], int(batch.numbers[number]), failure.error
                )
                count.errors += 1
        batch = batch.taken(np.asarray(good, np.int64))
        if not found:
            return batch, keys_of(operator, batch)
        return batch, {name: np.concatenate([f[name] for f in found]) for name in found[0]}

    def _hashed(self, operator: Operator, batch: Batch) -> dict[str, np.ndarray]:
        """The keys, which stand in the rows as well where the result keeps them."""
        keys = keys_of(operator, batch)
        if self.handling.keeps_hashes and isinstance(operator, Deduplicator):
            for name, values in operator.exported(keys).items():
                for number, value in enumerate(values):
                    batch.change(number, {name: value})
        return keys

    def _is_traced(self, step: Step) -> bool:
        named = self.handling.traced
        return named is not None and (not named or step.operator.name in named)

    def _trace_dropped(self, step: Step, batch: Batch, dropped: np.ndarray) -> None:
        if self._is_traced(step):
            for number in np.flatnonzero(dropped).tolist():
                self.outcome.traces.dropped(step.label, batch.rows[number], self.handling)


def keys_of(operator: Operator, batch: Batch) -> dict[str, np.ndarray]:
    """The columns by which a barrier decides."""
    if isinstance(operator, Deduplicator):
        found = operator.keys(batch)
        if operator.keep_best_by:
            values = [_number(value_of(batch, n, operator.keep_best_by)) for n in range(len(batch))]
            found["best"] = np.asarray(values, np.float64)
        return found
    if isinstance(operator, Selector):
        if not operator.field_key:
            return {"value": np.zeros(len(batch), object)}
        values = np.empty(len(batch), object)
        for number in range(len(batch)):
            values[number] = value_of(batch, number, operator.field_key)
        return {"value": values}
    assert isinstance(operator, Filter), "only these are barriers"
    stats = operator.measure(batch) if not batch.has(operator.measured()) else batch.stats
    found: dict[str, np.ndarray] = {}
    for name in operator.measured():
        batch.put(name, stats[name])
        values = np.empty(len(batch), object)
        values[:] = [_plain(value) for value in stats[name]]
        found[name] = values
    return found


def value_of(batch: Batch, number: int, key: str) -> Any:
    """The value of a dotted field of a row, statistics among them.

    Raises:
        DataError: the row has no such field.
    """
    first, _, rest = key.partition(".")
    if first == STATS:
        if rest not in batch.stats:
            raise DataError(f"the row has no statistic '{rest}'; put the filter that measures it"
                            " before.")  # fmt: skip
        return _plain(batch.stats[rest][number])
    if key in batch.stats and first not in batch.rows[number]:
        return _plain(batch.stats[key][number])
    value: Any = batch.rows[number]
    for word in key.split("."):
        if not isinstance(value, dict) or word not in value:
            raise DataError(
                f"the row has no field '{key}'; it has {', '.join(batch.rows[number])}."
            )
        value = value[word]
    return value


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _number(value: Any) -> float:
    if isinstance(value, list):
        return max(map(float, value), default=float("-inf"))
    return float(value) if value is not None else float("-inf")


def batches(part: Part, plan: Plan, work: Pass) -> Iterator[Batch]:
    """The rows of a part of the source, checked, in batches; those that fail in the ledger."""
    handling, outcome = plan.handling, work.outcome
    pictures = Pictures(
        handling.root,
        allows_truncated="truncated_images" in handling.compat,
        most_pixels=handling.most_pixels,
    )
    rows: list[Sample] = []
    numbers: list[int] = []
    lines: list[bytes | None] = []

    def packed() -> Batch:
        return Batch(rows, np.asarray(numbers, np.int64), handling.fields,
                     lines=lines, pictures=pictures)  # fmt: skip

    for line in read(part):
        outcome.counts.read += 1
        work.where[line.number] = (part.origin, line.line)
        sample = accepted(line, work)
        if sample is None:
            outcome.counts.unread += 1
            continue
        rows.append(sample)
        numbers.append(line.number)
        lines.append(None if STATS in sample or META in sample else line.raw)
        if len(rows) == BATCH_ROWS:
            yield packed()
            rows, numbers, lines = [], [], []
            work.where = {}
    if rows:
        yield packed()


def accepted(line: Line, work: Pass) -> Sample | None:
    """The row of a line, or None when it went to the ledger."""
    handling = work.handling
    if line.sample is None:
        error = DataError(f"the line {line.trouble}. Mend or drop it.")
        if not handling.lenient:
            file, place = work.where[line.number]
            raise DataError(f"{file} line {place} {line.trouble}. Mend it, or set"
                            " load_jsonl_lenient to true.")  # fmt: skip
        work.enter("read", None, line.number, error)
        return None
    if line.mended:
        work.outcome.counts.mended += 1
        file, place = work.where[line.number]
        work.outcome.entries.append(
            Entry(line.number, place, file, line.sample.get("id"), "read", "Mended", line.mended,
                  is_lost=False)
        )  # fmt: skip
    with Failure(keeps=handling.skip_errors) as failure:
        check_row(line.sample, handling)
    if failure.error is not None:
        work.enter("read", line.sample, line.number, failure.error)
        return None
    return line.sample


def check_row(sample: Sample, handling: Handling) -> None:
    """Refuse rows whose parts are not of their types or do not fit one another.

    Raises:
        DataError: what is wrong.
    """
    fields = handling.fields
    text = sample.get(fields.text)
    if text is not None and not isinstance(text, str):
        raise DataError(f"'{fields.text}' must be text; found {text!r:.60}.")
    images = sample.get(fields.images)
    if images is not None and not (
        isinstance(images, list) and all(isinstance(path, str) for path in images)
    ):
        raise DataError(f"'{fields.images}' must be a list of paths; found {images!r:.60}.")
    held = sample.get(fields.image_bytes)
    if held is not None and not isinstance(held, list):
        raise DataError(f"'{fields.image_bytes}' must be a list; found {held!r:.60}.")
    if text and images is not None and "image_tokens" not in handling.compat:
        tokens = text.count(fields.image_token)
        if tokens and tokens != len(images):
            raise DataError(
                f"the text has {tokens} of {fields.image_token} and '{fields.images}' lists"
                f" {len(images)}. Each image needs one token."
            )
    for validator in handling.validators:
        validate(sample, validator)
