from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fovea.errors import ConfigError, RecipeError
from fovea.tuning import trial
from fovea.tuning.plan import StageTarget, load

StudyFile = Callable[..., Path]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spase": {}}, "did you mean space?"),
        (
            {"space": {"optimizer.rte": {"float": [0.1, 0.2]}}},
            "toy.work has no setting optimizer.rte; did you mean optimizer.rate?",
        ),
        ({"space": {"x": {"flot": [0, 1]}}}, "flot"),
        ({"space": {"x": {"float": [-50, 5]}}}, "-10"),
        ({"space": {"optimizer.kind": {"choice": ["adam", "lion"]}}}, "lion"),
        ({"fixed": {"stps": 3}}, "did you mean steps?"),
        ({"search": {"method": "grid"}}, "a grid needs a step"),
        ({"search": {"method": "bayes"}}, "bayesian"),
        ({"search": {"options": {"candidate": 3}}}, "did you mean candidates?"),
        (
            {"search": {"method": "cmaes"}, "space": {"fate": {"choice": ["well", "nan"]}}},
            "cmaes needs numbers",
        ),
        (
            {
                "search": {"method": "quasirandom"},
                "space": {"x": {"float": [0, 1], "when": "steps > 1"}, "steps": {"int": [1, 3]}},
            },
            "use bayesian",
        ),
        ({"prune": {"method": "hyperband"}}, "hyperband needs the most steps"),
        ({"prune": {"method": "threshold"}}, "add 'lower' or 'upper'"),
        (
            {
                "objective": None,
                "objectives": [{"metric": "val/score"}, {"metric": "train/loss"}],
                "prune": {"method": "median"},
            },
            "prune: {method: none}",
        ),
        ({"objective": {"metric": "speed"}}, "add goal: min or goal: max"),
        ({"objective": None}, "needs a goal"),
        ({"budget": {}}, "would never end"),
        ({"target": {"command": {"argv": ["train"]}}}, "x is handed to nobody"),
        ({"target": {}}, "needs either a stage of fovea or a command"),
        ({"enqueue": [{"x": 99, "depth": 2}]}, "must be -5 to 5; got 99"),
        ({"derive": {"depth": "x"}}, "chosen twice"),
        ({"trial": {"timeout": "soon"}}, "trial.timeout"),
    ],
)
@pytest.mark.acceptance(1)
def test_a_wrong_study_is_refused_before_its_first_trial(
    study_file: StudyFile, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(study_file(**changes))
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_all_that_is_wrong_is_said_at_once_with_its_line(study_file: StudyFile) -> None:
    path = study_file(
        fixed={"stps": 3}, prune={"method": "hyperband"}, budget={}, enqueue=[{"x": 0}]
    )
    with pytest.raises(ConfigError) as caught:
        load(path)
    locs = {problem.loc for problem in caught.value.problems}
    assert {"fixed.stps", "prune.max", "budget", "enqueue.0.depth"} <= locs
    assert "study.yaml:" in str(caught.value)


def test_a_stage_that_is_not_there_is_named_with_the_nearest_one(study_file: StudyFile) -> None:
    with pytest.raises(RecipeError, match=r"Did you mean .?relight.fit"):
        load(study_file(target={"stage": "relight.fitt"}))


def test_a_range_that_holds_only_under_a_condition_is_checked_under_it(
    study_file: StudyFile,
) -> None:
    path = study_file(
        space={
            "optimizer.kind": {"choice": ["adam", "sgd"]},
            "optimizer.momentum": {"float": [0, 1.5], "when": "optimizer.kind == 'sgd'"},
        }
    )
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [problem.loc for problem in caught.value.problems] == ["space.optimizer.momentum"]


def test_the_base_settings_are_the_baseline_where_the_space_holds_them(
    study_file: StudyFile, tmp_path: Path
) -> None:
    (tmp_path / "base.yaml").write_text("x: 1.5\noptimizer: {kind: sgd}\n")
    path = study_file(target={"stage": "toy_tuning:TOY", "config": "base.yaml"})
    assert load(path).baseline == {"x": 1.5, "depth": 3}
    (tmp_path / "base.yaml").write_text("x: 7\n")
    plan = load(path)
    assert plan.baseline is None
    assert any("x is 7.0 there, not -5 to 5" in note for note in plan.notes)


def test_choosing_by_the_test_split_is_noted(study_file: StudyFile) -> None:
    plan = load(study_file(objective={"metric": "test/score", "goal": "max"}))
    assert any("test split" in note for note in plan.notes)


def test_words_of_the_command_line_lie_over_the_study_file(study_file: StudyFile) -> None:
    plan = load(study_file(), ["budget.trials=9", "fixed.steps=2", "search.method=random"])
    assert plan.file.budget.trials == 9
    assert plan.file.search.method == "random"
    assert trial.resolve(plan, {"x": 1.0, "depth": 2}).config.steps == 2


def test_a_trial_has_the_config_that_the_same_values_give_elsewhere(
    study_file: StudyFile,
) -> None:
    from fovea.config import resolve, to_yaml

    plan = load(study_file(fixed={"optimizer": {"rate": 0.5}}))
    assert isinstance(plan.target, StageTarget)
    by_study = trial.resolve(plan, {"x": 1.25, "depth": 4}, number=7)
    by_words = resolve(
        plan.target.stage.config,
        name="toy.work",
        arguments=["x=1.25", "--depth", "4", "optimizer.rate=0.5"],
    )
    assert to_yaml(by_study.config) == to_yaml(by_words.config)
    assert by_study.sources["x"] == "study toy #7"
