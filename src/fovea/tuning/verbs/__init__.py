"""The verbs of `fovea tune`, a file a verb or a family; none is imported before it is asked.

`words.py` has what their command lines share, `said.py` how trials are said to a person.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """One word after `fovea tune`."""

    target: str
    """`module:function`, which takes the words after the verb and gives the exit code."""
    summary: str


_HERE = "fovea.tuning.verbs"
VERBS: dict[str, Verb] = {
    "plan": Verb(
        f"{_HERE}.plan:main",
        "check a study file, show the method, the space and a few configs; run nothing",
    ),
    "doctor": Verb(f"{_HERE}.doctor:main", "what would waste the trials, before they begin"),
    "worker": Verb(f"{_HERE}.worker:main", "join a study, from another shell or machine"),
    "status": Verb(f"{_HERE}.look:status", "how far a study is, and its trials"),
    "best": Verb(f"{_HERE}.look:best", "the best trial, and best.yaml, which `fovea run` runs"),
    "confirm": Verb(f"{_HERE}.confirm:main", "the leaders again on new seeds: mean ± deviation"),
    "report": Verb(f"{_HERE}.look:report", "make the page report.html, report.json, trials.csv"),
    "export": Verb(f"{_HERE}.look:export", "write trials.csv and report.json"),
    "stop": Verb(f"{_HERE}.stop:main", "let a study that is at work save and leave"),
    "retry": Verb(f"{_HERE}.queue:retry", "queue trials again, by number, or all that failed"),
    "enqueue": Verb(f"{_HERE}.queue:enqueue", "queue a trial with these parameters: key=value"),
    "import": Verb(f"{_HERE}.transfer:main", "what an earlier study has learnt, into this one"),
    "dashboard": Verb(f"{_HERE}.dashboard:main", "optuna-dashboard on this machine's loopback"),
}
"""In the order in which a study is lived through."""
