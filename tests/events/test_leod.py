"""Commands of LEOD and RVT in our words: those of their guides, and wrong ones."""

import pytest

from fovea import catalog
from fovea.config import resolve
from fovea.errors import ConfigError
from fovea.events.leod import translated

EVALUATE = (
    "val.py model=rnndet dataset=gen1 dataset.path=./datasets/gen1/ checkpoint=X use_test_set=1"
    ' hardware.gpus=0 hardware.num_workers.eval=8 +experiment/gen1="small.yaml" batch_size.eval=16'
    " model.postprocess.confidence_threshold=0.001 reverse=False tta.enable=False"
)
VIDEO = (
    "vis_pred.py model=rnndet dataset=gen1 dataset.path=./datasets/gen1/ checkpoint=X"
    ' +experiment/gen1="small.yaml" model.postprocess.confidence_threshold=0.1 num_video=5'
    " reverse=False"
)
TEACHER = (
    'train.py model=rnndet hardware.gpus=0 dataset=gen1x0.01_ss +experiment/gen1="small.yaml"'
    " training.max_steps=200000 batch_size.train=8 batch_size.eval=8 hardware.num_workers.train=8"
    " hardware.num_workers.eval=8"
)
LABEL = (
    "predict.py model=pseudo_labeler dataset=gen1x0.01_ss dataset.path=./datasets/gen1/"
    ' checkpoint=X hardware.gpus=0 +experiment/gen1="small.yaml"'
    " model.postprocess.confidence_threshold=0.01 tta.enable=True batch_size.eval=8"
    " save_dir=./datasets/pseudo_gen1/gen1x0.01_ss-1round/train"
    " model.pseudo_label.filter.min_track_len=6"
)
QUALITY = (
    "val_dst.py model=pseudo_labeler dataset=gen1x0.01_ss"
    " dataset.path=./datasets/pseudo_gen1/gen1x0.01_ss-1round checkpoint=1"
    ' +experiment/gen1="small.yaml" model.pseudo_label.obj_thresh=0.01'
    " model.pseudo_label.cls_thresh=0.01"
)
STUDENT = (
    "train.py model=rnndet-soft hardware.gpus=0 dataset=gen1x0.01_ss-1round"
    ' +experiment/gen1="small.yaml" training.max_steps=150000 training.learning_rate=0.0005'
    " dataset.train.mixed.w_stream=0.5 model.pseudo_label.soft_label_weight=0.5"
)
RVT = (
    "validation.py dataset=gen4 dataset.path=D checkpoint=C use_test_set=1 hardware.gpus=0"
    ' +experiment/gen4="base.yaml" batch_size.eval=8'
    " model.postprocess.confidence_threshold=0.001"
)
PREPROCESS = (
    "preprocess_dataset.py IN OUT representation/stacked_hist.yaml extraction/const_duration.yaml"
    " filter_gen1.yaml -ds gen1 -np 20"
)


def words_of(command: str) -> list[str]:
    return command.replace('"', "").split()


def settings(command: str) -> dict[str, str]:
    found = translated(words_of(command))
    return dict(word.split("=", 1) for word in found.words)


@pytest.mark.parametrize(
    ("command", "stage"),
    [
        (EVALUATE, "events.evaluate"), (VIDEO, "events.film"), (TEACHER, "events.train"),
        (LABEL, "events.label"), (QUALITY, "events.audit"), (STUDENT, "events.train"),
        (RVT, "events.evaluate"), (PREPROCESS, "events.preprocess"),
        ("python " + EVALUATE, "events.evaluate"), ("scripts/" + TEACHER, "events.train"),
    ],
)  # fmt: skip
def test_every_command_of_the_guides_has_settings_that_its_stage_takes(
    command: str, stage: str
) -> None:
    found = translated(words_of(command))
    assert found.stage == stage
    resolve(catalog.stage(stage).config, name=stage, arguments=found.words, environment={})


def test_the_name_of_a_data_set_says_which_labels_are_visible() -> None:
    weakly = settings(TEACHER)
    assert (weakly["budget.keep"], weakly["budget.ratio"]) == ("frames", "0.01")
    semi = settings(TEACHER.replace("x0.01_ss", "x0.05_seq"))
    assert (semi["budget.keep"], semi["budget.ratio"]) == ("recordings", "0.05")
    assert "budget.keep" not in settings(STUDENT), "pseudo labels are all to be learnt from"
    given = settings(TEACHER.replace("gen1x0.01_ss", "gen1") + " dataset.ratio=0.02")
    assert (given["budget.keep"], given["budget.ratio"]) == ("frames", "0.02")


def test_a_path_that_ends_in_train_means_the_folder_around_it() -> None:
    found = settings(STUDENT + " dataset.path=./datasets/pseudo/x/train/")
    assert found["data"] == "./datasets/pseudo/x"


def test_a_rate_is_that_of_the_batch_it_was_given_for() -> None:
    assert float(settings(STUDENT)["schedule.rate"]) == pytest.approx(5e-4)
    wide = (
        STUDENT.replace("gen1x", "gen4x").replace("/gen1", "/gen4").replace("gpus=0", "gpus=[0,1]")
    )
    found = settings(wide + " batch_size.train=12")
    assert found["batch"] == "24"
    assert float(found["schedule.rate"]) == pytest.approx(5e-4 / 3**0.5, rel=1e-5)


def test_what_is_about_the_machine_is_dropped_and_named() -> None:
    notes = translated(words_of(EVALUATE)).notes
    assert any("hardware.num_workers.eval=8 is dropped" in note for note in notes)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "trian.py model=rnndet",
            "'trian.py' is no script of LEOD or RVT. Did you mean 'train.py'",
        ),
        ("train.py model=rnndet", "train.py needs dataset="),
        ("train.py dataset=gen3", "'gen3' is no data set of LEOD or RVT"),
        ("train.py dataset=gen1 training.max_step=4", "no twin of training.max_step=4"),
        ("train.py dataset=gen1 small", "'small' is not understood"),
        ("train.py dataset=gen1 model=yolox", "trains rnndet, rnndet-soft"),
        ("train.py dataset=gen1 +experiment/gen1=large.yaml", "'large.yaml' is no experiment"),
        ("val.py dataset=gen1", "val.py needs checkpoint="),
        ("preprocess_dataset.py IN -ds gen2", "needs IN OUT and -ds gen1 or -ds gen4"),
    ],
)
def test_a_wrong_command_is_answered_in_one_sentence(command: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        translated(words_of(command))
    assert said in str(caught.value)
