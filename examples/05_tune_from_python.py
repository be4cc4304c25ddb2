"""A study from Python: a training loop of one's own, tuned, pruned, and shown as pictures."""

import sys
from pathlib import Path

import fovea

LOOP = """
import fovea

trial = fovea.TrialHandle.here()  # without a study it does nothing, and the loop just runs
rate, momentum = trial.get("rate", 0.1), trial.get("momentum", 0.0)
x, speed = 5.0, 0.0
for step in range(1, 31):
    speed = momentum * speed - rate * 2 * x  # down the parabola
    x += speed
    trial.log(step, {"loss": x * x})
    if trial.should_stop():
        break
"""
STUDY = {
    "study": "parabola",
    "target": {
        "command": {"adapter": "handle", "argv": [sys.executable, str(Path("loop.py").absolute())]}
    },
    "objective": {"metric": "loss", "goal": "min"},
    "space": {
        "rate": {"float": [1.0e-3, 1.2], "log": True},
        "momentum": {"float": [0.0, 0.95]},
    },
    "search": {"method": "bayesian", "startup": 5},
    "prune": {"method": "median", "startup": 3, "warmup": 5},
}

if __name__ == "__main__":
    Path("loop.py").write_text(LOOP)
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with fovea.tune(STUDY, trials=trials) as study:
        print(study.best_params, study.importances)
        print(study.plot_history().save("history.svg"), study.report())
