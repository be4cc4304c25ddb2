"""The one-cycle schedule against the reference's rates."""

import json

import pytest

from fovea.training.schedule import one_cycle


@pytest.mark.parametrize("name", ["gen1", "gen4", "self_train_gen1", "pretrain_1pct_gen1"])
def test_rates_are_the_reference_s(goldens, name) -> None:
    case = json.loads((goldens / "events" / "lr_schedule.json").read_text())[name]
    for step, rate in case["lr_used_at_step"].items():
        found = one_cycle(
            int(step),
            peak=case["max_lr"],
            steps=case["total_steps"],
            warmup=case["pct_start"],
            start_div=case["div_factor"],
        )
        assert found == pytest.approx(rate, rel=1e-9), step


def test_short_trainings_start_at_the_peak_or_near_it_and_end_at_the_end() -> None:
    for steps in (1, 2, 12, 200):
        rates = [one_cycle(step, peak=1.0, steps=steps) for step in range(steps)]
        assert max(rates) <= 1.0
        assert rates[-1] == pytest.approx(1e-4) or steps == 1
        assert one_cycle(steps + 5, peak=1.0, steps=steps) == pytest.approx(1e-4)
