"""Recipes: what joins, what does not, and what is said then."""

from pathlib import Path

import pytest

from fovea.errors import ArtifactError, ConfigError, RecipeError
from fovea.runs.recipe import Join, Recipe, declaration, find_stage, load


def write(folder: Path, stages: str, head: str = "name: toys\n") -> Path:
    path = folder / "toys.yaml"
    path.write_text(f"{head}stages:\n{stages}")
    return path


COUNT = 'use: "toy_stages:COUNT"'
SPREAD = 'use: "toy_stages:SPREAD"'


def test_variables_keep_their_type_and_can_be_set(recipe_file: Path) -> None:
    assert load(recipe_file).step("first").config.steps == 12
    assert load(recipe_file, ["vars.steps=30"]).step("first").config.steps == 30


def test_a_reference_joins_to_an_earlier_output(recipe_file: Path) -> None:
    second = load(recipe_file).step("second")
    assert second.joins == {"start": Join("first", "number")}
    assert second.needs == ("first",)


def test_an_unset_input_joins_the_newest_output_of_its_name(recipe_file: Path) -> None:
    assert load(recipe_file).step("third").joins == {"number": Join("second", "number")}


def test_an_unset_optional_input_is_joined_only_by_its_name(recipe_file: Path) -> None:
    assert load(recipe_file).step("first").joins == {}


def test_an_input_that_nobody_makes_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, f"  only: {{{SPREAD}}}\n")
    with pytest.raises(RecipeError, match=r"stage 'only' needs 'number' .* Stages before it: none"):
        load(path)


def test_a_stage_that_comes_later_cannot_be_referred_to(tmp_path: Path) -> None:
    path = write(
        tmp_path, f'  a: {{{COUNT}, with: {{start: "${{b.out.number}}"}}}}\n  b: {{{COUNT}}}\n'
    )
    with pytest.raises(RecipeError, match=r"comes later. Move 'b' before it"):
        load(path)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${frst.out.number}", "no stage has that name. Did you mean 'first'?"),
        ("${first.out.numbr}", "'first' makes no 'numbr'. It makes: number."),
        ("${third.out.files}", "which is a folder (folder); wanted is a file (file)"),
    ],
)
def test_a_reference_that_does_not_fit_is_refused(
    recipe_file: Path, reference: str, said: str
) -> None:
    more = f'  last: {{{COUNT}, with: {{start: "{reference}"}}}}\n'
    recipe_file.write_text(recipe_file.read_text() + more)
    with pytest.raises(RecipeError) as caught:
        load(recipe_file)
    assert said in str(caught.value)


def test_a_reference_in_a_setting_that_is_no_input_is_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path, f"  a: {{{COUNT}}}\n  b: {{{COUNT}, with: {{seed: ${{a.out.number}}}}}}\n"
    )
    with pytest.raises((RecipeError, ConfigError)):
        load(path)


def test_a_misspelt_word_of_the_grammar_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, f"  a: {{{COUNT}, wiht: {{}}}}\n")
    with pytest.raises(RecipeError, match=r"toys.yaml:3: 'wiht' .* Did you mean 'with'"):
        load(path)


def test_a_misspelt_setting_is_a_config_error_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, f"  a:\n    {COUNT}\n    with:\n      stps: 3\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert problem.loc == "stps"
    assert problem.source.endswith("toys.yaml:6")


def test_an_override_of_an_unknown_stage_is_refused(recipe_file: Path) -> None:
    with pytest.raises(RecipeError, match=r"has no stage 'frist'. Did you mean 'first'"):
        load(recipe_file, ["frist.steps=3"])


def test_a_missing_input_file_is_refused_before_anything_starts(tmp_path: Path) -> None:
    path = write(tmp_path, f"  a: {{{COUNT}, with: {{start: nowhere.json}}}}\n")
    with pytest.raises(ArtifactError, match=r"stage 'a' \(start\) needs a file"):
        load(path)


def test_a_matrix_makes_a_stage_for_each_combination(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f'  a: {{{COUNT}, matrix: {{n: [2, 3], r: [0.5]}}, with: {{steps: "${{matrix.n}}"}}}}\n',
    )
    recipe = load(path, ["a.every=9", "a[n=2,r=0.5].seed=4"])
    assert [step.key for step in recipe.steps] == ["a[n=2,r=0.5]", "a[n=3,r=0.5]"]
    assert [step.config.steps for step in recipe.steps] == [2, 3]
    assert [step.config.every for step in recipe.steps] == [9, 9]
    assert [step.config.seed for step in recipe.steps] == [4, 0]


def test_a_reference_to_a_whole_matrix_must_say_which(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"  a: {{{COUNT}, matrix: {{seed: [1, 2]}}, with: {{seed: '${{matrix.seed}}'}}}}\n"
        f'  b: {{{COUNT}, with: {{start: "${{a.out.number}}"}}}}\n',
    )
    with pytest.raises(RecipeError, match=r"Say which: a\[seed=1\], a\[seed=2\]"):
        load(path)
    path.write_text(path.read_text().replace("{a.out", "{a[seed=2].out"))
    assert load(path).step("b").joins["start"].key == "a[seed=2]"


GROUP = f"""
  all: {{{COUNT}}}
  seeds:
    matrix: {{seed: "${{vars.seeds}}"}}
    stages:
      teacher: {{{COUNT}, with: {{seed: "${{matrix.seed}}"}}}}
      rounds:
        repeat: {{round: "${{vars.rounds}}"}}
        stages:
          label: {{{COUNT}, with: {{start: "${{teacher.out.number}}"}}}}
          student: {{{COUNT}, with: {{start: "${{label.out.number}}", steps: "${{matrix.round}}"}}}}
      score: {{{SPREAD}, with: {{number: "${{student.out.number}}"}}}}
  table:
    use: "toy_stages:SUM"
    with: {{numbers: ["${{all.out.number}}", "${{student.out.number}}"]}}
"""
HEAD = "name: toys\nvars: {seeds: [4, 7], rounds: 2}\n"


def test_stages_of_a_group_run_for_each_combination_and_round_in_order(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, GROUP, HEAD))
    assert [step.key for step in recipe.steps] == [
        "all",
        *(
            key
            for seed in (4, 7)
            for key in (
                f"teacher[seed={seed}]",
                f"label[seed={seed},round=1]",
                f"student[seed={seed},round=1]",
                f"label[seed={seed},round=2]",
                f"student[seed={seed},round=2]",
                f"score[seed={seed}]",
            )
        ),
        "table",
    ]


def test_like_is_joined_to_like_and_to_the_last_round(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, GROUP, HEAD))
    student = recipe.step("student[seed=7,round=2]")
    assert student.joins["start"].key == "label[seed=7,round=2]"
    assert student.config.steps == 2
    assert recipe.step("label[seed=4,round=1]").joins["start"].key == "teacher[seed=4]"
    assert recipe.step("score[seed=4]").joins["number"].key == "student[seed=4,round=2]"


def test_an_input_that_nobody_names_takes_the_round_before(tmp_path: Path) -> None:
    text = GROUP.replace('with: {start: "${label.out.number}"', "with: {start: x.json")
    text = text.replace(f'{COUNT}, with: {{start: "${{teacher.out.number}}"}}', SPREAD)
    text = text.replace("{start: x.json, ", "{")
    recipe = load(write(tmp_path, text, HEAD))
    assert recipe.step("label[seed=7,round=1]").joins["number"].key == "teacher[seed=7]"
    assert recipe.step("label[seed=7,round=2]").joins["number"].key == "student[seed=7,round=1]"


def test_the_newest_output_of_a_name_can_be_asked_for(tmp_path: Path) -> None:
    text = GROUP.replace("label:   {", "label: {").replace(
        "${teacher.out.number}", "${newest.out.number}"
    )
    recipe = load(write(tmp_path, text, HEAD))
    assert recipe.step("label[seed=7,round=1]").joins["start"].key == "teacher[seed=7]"
    assert recipe.step("label[seed=7,round=2]").joins["start"].key == "student[seed=7,round=1]"
    text = f'  a: {{{COUNT}, with: {{start: "${{newest.out.number}}"}}}}\n'
    with pytest.raises(RecipeError, match=r"no stage before it makes a 'number'"):
        load(write(tmp_path, text))


def test_an_input_of_several_takes_every_combination_and_round(tmp_path: Path) -> None:
    table = load(write(tmp_path, GROUP, HEAD)).step("table")
    keys = ["all", *(f"student[seed={seed},round={n}]" for seed in (4, 7) for n in (1, 2))]
    assert [join.key for join in table.joins.values()] == keys
    assert table.needs == tuple(keys)


def test_a_group_may_repeat_nothing(tmp_path: Path) -> None:
    text = GROUP.replace("student.out", "teacher.out")
    recipe = load(write(tmp_path, text, HEAD), ["vars.rounds=0", "vars.seeds=[1]"])
    keys = ["all", "teacher[seed=1]", "score[seed=1]", "table"]
    assert [step.key for step in recipe.steps] == keys


def test_settings_of_stages_in_a_group_can_be_typed(tmp_path: Path) -> None:
    typed = ["student.seed=3", "student[seed=7,round=1].rate=0.5"]
    recipe = load(write(tmp_path, GROUP, HEAD), typed)
    assert recipe.step("student[seed=4,round=1]").config.seed == 3
    assert recipe.step("student[seed=7,round=1]").config.rate == 0.5
    assert recipe.step("student[seed=7,round=2]").config.rate == 0.1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("repeat: {round: ", "repeat: {round: x", "repeat 'round' is 'x2'; give how often"),
        ("repeat:", "reapeat:", "'reapeat' is not understood here. Did you mean 'repeat'?"),
        ("      score:", "      all:", "stage 'all' stands twice"),
        ('${student.out.number}"}}\n  table', '${nobody.out.number}"}}\n  table', "no stage has"),
    ],
)
def test_a_wrong_group_is_refused_with_a_sentence(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = GROUP.replace(old, new).replace('x"${vars.rounds}"', '"x${vars.rounds}"')
    assert text != GROUP
    with pytest.raises(RecipeError) as caught:
        load(write(tmp_path, text, HEAD))
    assert said in str(caught.value)


@pytest.mark.parametrize(("written", "jobs"), [("3", 3), ("cores", 0)])
def test_a_recipe_says_how_many_stages_work_at_once(
    tmp_path: Path, written: str, jobs: int
) -> None:
    recipe = load(write(tmp_path, f"  a: {{{COUNT}}}\n", f"jobs: {written}\n"))
    assert recipe.jobs == jobs
    again = tmp_path / "again.yaml"
    again.write_text(recipe.to_yaml())
    assert load(again).jobs == jobs


@pytest.mark.parametrize("written", ["0", "many", "1.5"])
def test_a_wrong_number_of_jobs_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(RecipeError, match=r"toys.yaml:1: jobs is .*; give how many stages"):
        load(write(tmp_path, f"  a: {{{COUNT}}}\n", f"jobs: {written}\n"))


def test_what_is_written_of_a_recipe_with_groups_loads_as_the_same(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, GROUP, HEAD))
    again = tmp_path / "again.yaml"
    again.write_text(recipe.to_yaml())
    assert load(again, environment={}).id == recipe.id


def test_what_is_written_of_a_recipe_loads_as_the_same_recipe(recipe_file: Path) -> None:
    recipe = load(recipe_file)
    again = recipe_file.with_name("again.yaml")
    again.write_text(recipe.to_yaml())
    loaded = load(again, environment={})
    assert loaded.id == recipe.id
    assert [step.config for step in loaded.steps] == [step.config for step in recipe.steps]
    assert loaded.to_yaml() == recipe.to_yaml()


def test_the_id_is_of_the_graph_and_not_of_the_values(recipe_file: Path) -> None:
    assert load(recipe_file).id == load(recipe_file, ["first.steps=99"]).id


def test_a_recipe_that_is_not_there_lists_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("demo.yaml", "relight.fit.tiny.yaml"):
        (tmp_path / name).touch()
    monkeypatch.setattr("fovea.runs.recipe.RECIPES", tmp_path)
    with pytest.raises(
        RecipeError, match=r"'dmeo' is not a recipe. Did you mean 'demo'[?] Recipes: demo;"
    ):
        load("dmeo")


def test_a_single_stage_is_a_recipe() -> None:
    recipe = Recipe.single("toy_stages:COUNT", {"steps": 3})
    assert recipe.name == "toy-count"
    assert recipe.step("count").config.steps == 3
    assert recipe.step("count").sources["rate"] == "default"


def test_a_stage_is_found_again_by_where_it_is_declared() -> None:
    stage = find_stage("toy_stages:COUNT")
    assert declaration(stage) == "toy_stages:COUNT"


def test_what_is_no_stage_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"has no Stage named Nothing"):
        find_stage("toy_stages:Nothing")
    with pytest.raises(RecipeError, match=r"cannot be loaded"):
        find_stage("no_such_module:STAGE")


def test_a_wrong_setting_is_said_as_it_was_typed(recipe_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"from first\.stpes=3\n"):
        load(recipe_file, ["first.stpes=3"])
    recipe = load(recipe_file, ["first.steps=3"])
    assert recipe.step("first").sources["steps"] == "first.steps=3"
