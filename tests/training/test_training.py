import json
from pathlib import Path

import pytest
import torch

from fovea.errors import ArtifactError, BackendError
from fovea.training.checkpoint import (
    generator,
    load_state,
    random_state,
    restore_random_state,
    save_state,
)
from fovea.training.device import torch_device
from fovea.training.every import EverySeconds, is_every
from fovea.training.schedule import exponential, linear, warmup


def test_the_rate_of_positions_follows_the_references_schedule(goldens):
    known = json.loads((goldens / "inverse-rendering/scalars.json").read_text())["xyz_lr"]
    for step, rate in zip(known["steps"], known["lr"], strict=True):
        found = exponential(
            step, first=1.6e-4 * known["extent"], last=1.6e-6 * known["extent"], steps=30000
        )
        assert found == pytest.approx(rate, rel=1e-9)


def test_schedules_stay_at_their_ends():
    assert linear(-5, first=2, last=4, steps=10) == 2
    assert linear(5, first=2, last=4, steps=10) == 3
    assert linear(99, first=2, last=4, steps=10) == 4
    assert [warmup(step, steps=4) for step in (0, 2, 4, 9)] == [0, 0.5, 1, 1]
    assert warmup(0, steps=0) == 1


def test_every_nth_step_is_counted_from_one_and_zero_is_never():
    assert [step for step in range(1, 10) if is_every(step, 3)] == [3, 6, 9]
    assert not any(is_every(step, 0) for step in range(10))


def test_a_span_of_time_is_due_once_and_begins_anew():
    now = 0.0
    every = EverySeconds(10, clock=lambda: now)
    due = []
    for now in (5.0, 10.0, 11.0, 19.9, 20.0):  # noqa: B007
        due.append(every.is_due())
    assert due == [False, True, False, False, True]


def test_a_state_comes_back_whole_and_generators_go_on(tmp_path: Path):
    mine = generator(3)
    torch.rand(5, generator=mine)
    weights = torch.nn.Parameter(torch.rand(4))
    optimizer = torch.optim.Adam([weights])
    weights.sum().backward()
    optimizer.step()
    state = {
        "weights": weights.detach(),
        "optimizer": optimizer.state_dict(),
        "random": random_state({"mine": mine}),
        "queue": [3, 1],
    }
    save_state(tmp_path, state)
    expected = torch.rand(3, generator=mine), torch.rand(3)
    found = load_state(tmp_path)
    assert found["queue"] == [3, 1]
    torch.testing.assert_close(found["weights"], weights.detach(), rtol=0, atol=0)
    moments = found["optimizer"]["state"][0]["exp_avg"]
    assert moments.equal(optimizer.state_dict()["state"][0]["exp_avg"])
    other = generator(0)
    restore_random_state(found["random"], {"mine": other})
    assert torch.rand(3, generator=other).equal(expected[0])
    assert torch.rand(3).equal(expected[1])


def test_a_checkpoint_cut_short_is_named_with_the_way_out(tmp_path: Path):
    save_state(tmp_path, {"a": torch.rand(1000)})
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ArtifactError, match=r"500 bytes.*one before"):
        load_state(tmp_path)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"holds no state\.pt"):
        load_state(tmp_path)


def test_a_checkpoint_never_runs_code(tmp_path: Path):
    torch.save({"a": Path("x")}, tmp_path / "state.pt")
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_state(tmp_path)


def test_a_device_that_is_not_there_is_refused():
    assert torch_device("cpu").type == "cpu"
    with pytest.raises(BackendError, match="'gpu' is not a device"):
        torch_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(BackendError, match="sees no GPU"):
            torch_device("cuda:0")
