"""The event log: numbered across processes, and whole after any kill."""

import json
import math
import subprocess
import sys
from pathlib import Path

from fovea.runs.events import EventLog, Follower, read_events, read_metrics, stage_recorder

WRITER = """
import sys
from pathlib import Path
from fovea.runs.events import EventLog
log = EventLog(Path(sys.argv[1]))
for n in range(200):
    log.append({"kind": "log", "level": "info", "message": "x" * n}, stage=sys.argv[2])
"""


def test_several_processes_number_their_events_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, key]) for key in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    events = list(read_events(path))
    assert [event["n"] for event in events] == list(range(1, 601))
    for key in "abc":
        lengths = [len(event["message"]) for event in events if event["stage"] == key]
        assert lengths == list(range(200))


def test_a_torn_last_line_is_passed_over_and_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path).append({"kind": "log"})
    with path.open("ab") as file:
        file.write(b'{"n": 2, "kind": "me')
    assert [event["n"] for event in read_events(path)] == [1]
    EventLog(path).append({"kind": "state"})
    assert [(e["n"], e["kind"]) for e in read_events(path)] == [(1, "log"), (2, "state")]


def test_a_log_of_only_a_torn_line_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"n": 1')
    assert EventLog(path).append({"kind": "log"})["n"] == 1


def test_a_follower_sees_each_event_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log, follower = EventLog(path), Follower(path)
    assert list(follower.new()) == []
    log.append({"kind": "log"})
    with path.open("ab") as file:
        file.write(b'{"n": 2, "kind": ')
        file.flush()
        assert [event["n"] for event in follower.new()] == [1]
        file.write(b'"log"}\n')
    assert [event["n"] for event in follower.new()] == [2]
    assert list(follower.new()) == []


def test_numbers_that_json_lacks_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    metrics = {"a": float("nan"), "b": float("inf"), "c": float("-inf"), "d": 1.5}
    EventLog(path).append({"kind": "metric", "step": 1, "metrics": metrics})
    json.loads(path.read_text(), parse_constant=lambda name: 1 / 0)
    (event,) = read_events(path)
    assert math.isnan(event["metrics"].pop("a"))
    assert event["metrics"] == {"b": math.inf, "c": -math.inf, "d": 1.5}


def test_a_rewind_makes_later_points_void(tmp_path: Path) -> None:
    emit = stage_recorder(tmp_path, tmp_path, "fit")
    for step in (1, 2, 3, 4):
        emit({"kind": "metric", "step": step, "epoch": None, "metrics": {"train/loss": 1.0}})
    emit({"kind": "rewind", "step": 2})
    for step in (3, 4, 5):
        emit({"kind": "metric", "step": step, "epoch": None, "metrics": {"train/loss": 2.0}})
    points = read_metrics(tmp_path / "metrics.jsonl")
    assert [p["step"] for p in points] == [1, 2, 3, 4, 5]
    assert [p["metrics"]["train/loss"] for p in points] == [1.0, 1.0, 2.0, 2.0, 2.0]
