"""What a trainer writes is read right, however it is written."""

import csv
import io
import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import ConfigError
from fovea.tuning.foreign.adapters import EVALUATING
from fovea.tuning.foreign.settings import MetricSource
from fovea.tuning.sources.point import number
from fovea.tuning.sources.reader import Reader
from fovea.tuning.sources.tail import Tail

Series = dict[str, dict[int, float]]


def reader(folder: Path, **source: object) -> Reader:
    return Reader(MetricSource.model_validate(source), folder)


def series(found: Reader, into: Series | None = None, *, is_over: bool = False) -> Series:
    into = {} if into is None else into
    for point in found.new(is_over=is_over):
        for name, value in point.metrics.items():
            assert point.step not in into.setdefault(name, {}), "a point was given twice"
            into[name][point.step] = value
    return into


def lines(losses: list[float]) -> bytes:
    records = [{"step": n, "loss": loss, "note": "ü"} for n, loss in enumerate(losses, 1)]
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


LOSSES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(losses=LOSSES, cuts=st.lists(st.integers(0, 400), max_size=6), whole=st.booleans())
def test_any_chunking_of_writes_gives_the_same_series(
    tmp_path_factory: pytest.TempPathFactory, losses: list[float], cuts: list[int], whole: bool
) -> None:
    folder = tmp_path_factory.mktemp("chunks")
    data = lines(losses)[: None if whole else -1]
    found, got = reader(folder, jsonl="log.jsonl"), {}
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        with (folder / "log.jsonl").open("ab") as file:
            file.write(data[start:end])
        series(found, got)
    series(found, got, is_over=True)
    found.close()
    assert got == {"loss": dict(enumerate(losses, 1))}


@settings(max_examples=40, deadline=None)
@given(losses=LOSSES, rotated=st.sets(st.integers(1, 11)), looks=st.sets(st.integers(1, 11)))
@pytest.mark.acceptance(9)
def test_a_rotated_log_loses_no_point_between_two_looks(
    tmp_path_factory: pytest.TempPathFactory,
    losses: list[float],
    rotated: set[int],
    looks: set[int],
) -> None:
    folder = tmp_path_factory.mktemp("rotated")
    path = folder / "log.jsonl"
    found, got, is_open = reader(folder, jsonl="log.jsonl"), {}, False
    for n, line in enumerate(lines(losses).splitlines(keepends=True), 1):
        with path.open("ab") as file:
            file.write(line)
        if n in rotated and is_open:  # at most one rotation between two looks
            path.rename(folder / f"log.{n}.jsonl")
            is_open = False
        if n in looks or n in rotated:
            series(found, got)
            is_open = path.exists()
    series(found, got, is_over=True)
    found.close()
    if not rotated:
        assert got == {"loss": dict(enumerate(losses, 1))}
    assert list(got.get("loss", {})) == sorted(got.get("loss", {}))


def test_the_old_file_is_read_to_its_end_before_the_new_one(tmp_path: Path) -> None:
    path, rest = tmp_path / "log", tmp_path / "log.1"
    path.write_bytes(b"one\ntw")
    tail = Tail(path)
    assert tail.lines() == [b"one"]
    with path.open("ab") as file:
        file.write(b"o\nthree")
    path.rename(rest)
    path.write_bytes(b"four\n")
    assert tail.lines() == [b"two", b"three", b"four"]
    tail.close()


@pytest.mark.acceptance(9)
def test_a_partial_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    found = reader(tmp_path, jsonl="log.jsonl")
    assert series(found) == {"loss": {1: 2.0}}
    with path.open("a") as file:
        file.write('ss": 1.0}\n')
    assert series(found) == {"loss": {2: 1.0}}
    found.close()


@pytest.mark.parametrize("how", ["shorter", "longer", "another"])
@pytest.mark.acceptance(9)
def test_a_file_written_anew_gives_only_what_is_new(tmp_path: Path, how: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines([5.0, 4.0, 3.0]))
    found = reader(tmp_path, jsonl="log.jsonl")
    series(found)
    losses = [5.5, 4.5, 3.5, 2.5, 1.5]
    if how == "shorter":
        path.write_bytes(lines(losses[:1]))
        assert series(found) == {}
    if how == "another":
        path.rename(tmp_path / "old")
    path.write_bytes(lines(losses))
    assert series(found) == {"loss": {4: 2.5, 5: 1.5}}
    found.close()


def test_a_resumed_trainer_gives_the_points_beyond_its_checkpoint_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines([5.0, 4.0, 3.0]))
    found = reader(tmp_path, jsonl="log.jsonl")
    series(found)
    found.rewind(1)
    with path.open("a") as file:
        file.write('{"step": 2, "loss": 4.25}\n{"step": 3, "loss": 3.25}\n')
    assert series(found) == {"loss": {2: 4.25, 3: 3.25}}
    found.close()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2.461", 2.461), (" 1e-05", 1e-5), (3, 3.0), (True, None), ("12%", None), (None, None)],
)
@pytest.mark.acceptance(9)
def test_numbers_may_be_text(value: object, expected: float | None) -> None:
    assert number(value) == expected


def test_strings_of_numbers_other_names_and_other_fields(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(
        '{"n": "10", "eval_loss": "2.5", "lr": 1, "at": "noon", "ok": true}\nnot json\n[1]\n'
    )
    source = {"jsonl": "log.jsonl", "step": "n", "rename": {"eval_loss": "val/loss"}}
    found = reader(tmp_path, **source, take=["eval_loss"])
    assert series(found) == {"val/loss": {10: 2.5}}
    assert found.seen == {"eval_loss", "lr"}
    found.close()


@pytest.mark.acceptance(9)
def test_a_csv_that_is_rewritten_when_a_column_appears(tmp_path: Path) -> None:
    folder = tmp_path / "out/version_0"
    folder.mkdir(parents=True)
    found, got = reader(tmp_path, csv="out/**/metrics.csv"), {}
    rows: list[dict[str, object]] = []
    for step in range(6):
        rows.append({"epoch": 0, "step": step, "loss": 1.0 / (step + 1)})
        if step >= 3:
            rows.append({"epoch": 0, "step": step, "val_loss": 2.0 / (step + 1)})
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        (folder / "metrics.csv").write_text(text.getvalue() + "0,9")  # a row half written
        os.utime(folder / "metrics.csv", ns=(step, step))
        series(found, got)
    assert got["loss"] == {step: 1.0 / (step + 1) for step in range(6)}
    assert got["val_loss"] == {step: 2.0 / (step + 1) for step in range(3, 6)}


def test_a_json_result_is_found_where_its_path_leads(tmp_path: Path) -> None:
    path = tmp_path / "end.json"
    path.write_text('{"scores": [{"vqa": 51.2}')
    found = reader(tmp_path, json="end.json", path="scores.0")
    assert series(found) == {}
    path.write_text('{"scores": [{"vqa": "51.2", "name": "a"}]}')
    assert series(found) == {"vqa": {0: 51.2}}


@pytest.mark.parametrize(
    ("expression", "text", "expected"),
    [
        (
            r"step (?P<step>\d+) (?P<name>\w+)=(?P<value>\S+)",
            "step 1,000 loss=2.5\nstep 2000 loss=1.5 \n".replace(",", ""),
            {"loss": {1000: 2.5, 2000: 1.5}},
        ),
        (r"loss (?P<loss>\S+)", "a loss 3 \r loss 2\r loss 1\n", {"loss": {1: 3, 2: 2, 3: 1}}),
        (
            EVALUATING,
            "[ITER 7000] Evaluating test: L1 0.021 PSNR 27.5\n"
            "[ITER 9000] Evaluating test: L1 0.02 PSNR 28.25 SSIM 0.9\n",
            {"l1": {7000: 0.021, 9000: 0.02}, "psnr": {7000: 27.5, 9000: 28.25}}
            | {"ssim": {9000: 0.9}},
        ),
    ],
)
def test_an_expression_picks_numbers_from_the_console(
    tmp_path: Path, expression: str, text: str, expected: Series
) -> None:
    (tmp_path / "console.log").write_text(text)
    found = reader(tmp_path, regex=expression)
    assert series(found) == expected
    found.close()


def test_a_function_of_ones_own_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_numbers.py").write_text(
        "def read(folder):\n    yield {'step': 3, 'size': len(list(folder.iterdir()))}\n"
    )
    assert series(reader(tmp_path, python="my_numbers:read"))["size"][3] >= 1
    with pytest.raises(ConfigError, match="no function raed"):
        reader(tmp_path, python="my_numbers:raed")


def test_event_files_are_read_while_they_grow_and_merged_by_step(tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("tensorboardX", reason="needs the extra tensorboard")
    found, got = reader(tmp_path, tensorboard="tb"), {}
    for first in (1, 3):  # a trainer that is started again begins a new file
        writer = tensorboard.SummaryWriter(str(tmp_path / "tb" / str(first)))
        for step in range(first, first + 3):
            writer.add_scalar("train/loss", 1 / step, step)
            writer.flush()
            series(found, got)
        writer.close()
    series(found, got, is_over=True)
    assert got["train/loss"] == pytest.approx({step: 1 / step for step in range(1, 6)})


def test_an_unfinished_record_of_an_event_file_waits(tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("tensorboardX", reason="needs the extra tensorboard")
    with tensorboard.SummaryWriter(str(tmp_path / "whole")) as writer:
        for step in range(1, 6):
            writer.add_scalar("loss", step / 2, step)
    (path,) = (tmp_path / "whole").iterdir()
    data = path.read_bytes()
    (tmp_path / "tb").mkdir()
    found, got = reader(tmp_path, tensorboard="tb"), {}
    for end in range(0, len(data) + 7, 7):
        (tmp_path / "tb" / path.name).write_bytes(data[:end])
        series(found, got)
    assert got == {"loss": {step: step / 2 for step in range(1, 6)}}


@pytest.mark.slow
@pytest.mark.acceptance(6)
def test_a_real_trainer_says_the_same_in_its_state_and_in_its_event_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers", reason="needs Hugging Face transformers")
    pytest.importorskip("tensorboardX", reason="needs the extra tensorboard")
    torch = pytest.importorskip("torch", reason="needs torch")

    class Line(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": ((self.layer(x) - labels) ** 2).mean()}

    rows = [{"x": torch.tensor([n / 8]), "labels": torch.tensor([n / 4])} for n in range(16)]
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "tb"))
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=8,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=2,
        save_steps=4,
        report_to=["tensorboard"],
        use_cpu=True,
        disable_tqdm=True,
        per_device_train_batch_size=4,
        prediction_loss_only=True,
    )
    trainer = transformers.Trainer(
        model=Line(), args=arguments, train_dataset=rows, eval_dataset=rows
    )
    trainer.train()
    trainer.save_state()
    names = {"train/loss": "loss", "eval/loss": "eval_loss", "train/grad_norm": "grad_norm"}
    told = series(reader(tmp_path, tensorboard="tb", rename=names, take=list(names)))
    state = series(
        reader(tmp_path, trainer_state="out/trainer_state.json", take=list(names.values()))
    )
    live = series(
        reader(tmp_path, trainer_state="out/*/trainer_state.json", take=list(names.values()))
    )
    assert list(state["loss"]) == list(range(1, 9))
    assert list(state["eval_loss"]) == [2, 4, 6, 8]
    assert live == state
    for name, points in state.items():
        assert told[name] == pytest.approx(points, rel=1e-5)
