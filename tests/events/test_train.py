"""Training: what is learnt, what is kept, and going on after a stop."""

import dataclasses
import itertools
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fovea.config import resolve
from fovea.errors import ArtifactError, DataError, StoppedError
from fovea.events import train as module
from fovea.events.model.weights import load_detector
from fovea.events.sensor import GEN1
from fovea.events.settings.train import TrainConfig
from fovea.events.stages import TRAIN
from fovea.events.train import train
from fovea.runs.stage import Context, Event
from fovea.training.checkpoint import load_state

Train = Callable[..., tuple[Context, dict[str, float]]]


@pytest.fixture(scope="session")
def dataset(goldens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's micro data set, with its sensor noted."""
    folder = tmp_path_factory.mktemp("micro") / "dataset"
    shutil.copytree(goldens / "events" / "micro_gen1", folder)
    dataclasses.replace(GEN1, height=48, width=64).write(folder)
    return folder


@pytest.fixture
def run(dataset: Path, tmp_path: Path) -> Train:
    """The stage with the preset tiny, each call in a folder of its own unless told otherwise."""
    numbers = itertools.count()

    def run(
        *words: str, folder: Path | None = None, **rest: Any
    ) -> tuple[Context, dict[str, float]]:
        given = [] if any(w.startswith("data=") for w in words) else [f"data={dataset}"]
        config = resolve(
            TrainConfig,
            name="events.train",
            preset="tiny",
            arguments=[*given, *words],
            environment={},
        ).config
        place = folder or tmp_path / f"run-{next(numbers)}"
        context = Context.local(TRAIN, config, place, seed=config.seed, **rest)
        return context, train(config, context)

    return run


def weights(context: Context) -> dict[str, torch.Tensor]:
    return load_detector(context.output("detector"))[0].state_dict()


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_same_seed_gives_the_same_weights_and_another_others(run: Train) -> None:
    one, two, other = (weights(run(f"seed={seed}", "steps=3")[0]) for seed in (3, 3, 4))
    assert equal(one, two)
    assert not equal(one, other)


def test_the_loss_falls_on_what_is_seen_again_and_again(run: Train) -> None:
    seen: list[Event] = []
    run(
        "steps=40", "schedule.rate=3e-3", "validation.keep=last", "validation.every=0",
        "sampling.random.prob_zoom=0", "sampling.stream.prob_zoom=0", emit=seen.append,
    )  # fmt: skip
    losses = [e["metrics"]["train/loss"] for e in seen if "train/loss" in e.get("metrics", {})]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.mark.parametrize("stop_at", [1, 5, 6])
def test_a_training_that_was_stopped_ends_with_the_weights_of_an_unbroken_one(
    run: Train, tmp_path: Path, stop_at: int
) -> None:
    unbroken, scores = run("steps=9", "validation.every=4")
    asked = itertools.count(1)
    with pytest.raises(StoppedError):
        run(
            "steps=9", "validation.every=4", folder=tmp_path / "broken",
            asked_to_stop=lambda: next(asked) > 2 * stop_at,
        )  # fmt: skip
    resumed, again = run("steps=9", "validation.every=4", folder=tmp_path / "broken")
    assert again == scores
    assert equal(weights(resumed), weights(unbroken))


def test_a_checkpoint_holds_where_every_stream_was(run: Train) -> None:
    context, _ = run("steps=4")
    found = context.checkpoints.latest()
    assert found is not None
    state = load_state(found[1])
    assert state["loader"]["step"] == 4
    (memory,) = {len(states) for states in state["memory"].values()}
    assert memory == 4, "an output and a cell for each stage"


def test_the_weights_that_score_best_on_the_validation_recordings_are_kept(
    run: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.2, 0.5, 0.3])
    seen: list[list[str]] = []

    def scored(detector: Any, recordings: Any, *rest: Any, **named: Any) -> dict[str, float]:
        seen.append([recording.folder.parent.name for recording in recordings])
        return {"AP": next(scores)}

    monkeypatch.setattr(module, "evaluate_detector", scored)
    context, result = run("steps=6", "validation.every=2")
    assert result == {"val/AP": 0.5, "step": 4.0}
    best = context.checkpoints.best()
    assert best is not None
    assert equal(weights(context), load_state(best[1])["detector"])
    assert seen == [["val"]] * 3, "the test split is for the end"


def test_the_last_weights_are_kept_when_asked_for(run: Train) -> None:
    context, result = run("steps=3", "validation.keep=last")
    found = context.checkpoints.latest()
    assert found is not None
    assert result["step"] == 3
    assert equal(weights(context), load_state(found[1])["detector"])


def test_given_weights_are_where_learning_begins(run: Train) -> None:
    teacher, _ = run("steps=2")
    path = teacher.output("detector")
    student, _ = run(f"weights={path}", "steps=1", "schedule.rate=1e-12")
    before, after = weights(teacher), weights(student)
    learnt = [name for name in before if "running" not in name and "num_batches" not in name]
    assert all(torch.allclose(before[name], after[name], atol=1e-9) for name in learnt)


def test_the_rate_is_scaled_by_the_batch_and_goes_up_and_down(run: Train) -> None:
    seen: list[Event] = []
    run("steps=8", "batch=2", "schedule.warmup=0.25", "schedule.rate=8e-4", emit=seen.append)
    rates = [e["metrics"]["train/rate"] for e in seen if "train/rate" in e.get("metrics", {})]
    top = 8e-4 * math.sqrt(2 / 8)
    assert max(rates) == pytest.approx(top)
    assert rates == sorted(rates[: rates.index(max(rates)) + 1]) + sorted(
        rates[rates.index(max(rates)) + 1 :], reverse=True
    )


def test_a_training_that_diverges_says_so(run: Train) -> None:
    with pytest.raises(DataError, match=r"the loss is (nan|inf) at step \d+: .* Lower schedule"):
        run("steps=12", "schedule.rate=1e12", "clip=0", "validation.keep=last")


def test_without_validation_recordings_the_best_cannot_be_chosen(
    run: Train, dataset: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(dataset, bare)
    shutil.rmtree(bare / "val")
    (bare / "val").mkdir()
    with pytest.raises(DataError, match=r"val holds no recording"):
        run(f"data={bare}")
    context, _ = run(f"data={bare}", "validation.keep=last", "validation.every=0", "steps=1")
    assert context.output("detector").is_file()


def test_weights_of_another_size_are_answered_in_a_sentence(run: Train, dataset: Path) -> None:
    context, _ = run("steps=1")
    dataclasses.replace(GEN1, height=48, width=64, classes=("a", "b", "c")).write(
        other := dataset.parent
    )
    (other / "sensor.json").replace(other / "other.json")
    path = context.output("detector")
    changed = dataset.parent / "three-classes"
    shutil.copytree(dataset, changed)
    (other / "other.json").replace(changed / "sensor.json")
    with pytest.raises((ArtifactError, DataError), match=r"detector\.pt"):
        run(f"weights={path}", f"data={changed}")
