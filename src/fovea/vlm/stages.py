"""The stages of the room `vlm`, declared: image-text data becomes a model, and the model scores.

Only declarations stand here, and their settings in `settings/`, so that help costs no torch.
"""

from __future__ import annotations

from fovea.runs.stage import Output, Stage
from fovea.vlm.settings.compare import CompareConfig
from fovea.vlm.settings.evaluate import EvaluateConfig
from fovea.vlm.settings.finetune import FinetuneConfig
from fovea.vlm.settings.pack import PackConfig
from fovea.vlm.settings.pretrain import PretrainConfig

PRETRAIN = Stage(
    name="vlm.pretrain",
    summary="pictures with captions teach a projector to speak to a language model",
    config=PretrainConfig,
    implementation="fovea.vlm.pretrain:pretrain",
    outputs={
        "model": Output("vlm", "model", "the model with its projector"),
        "projector": Output("file", "mm_projector.bin", "the projector as MGM's scripts keep it"),
        "log": Output("log", "pretrain.log", "loss and rate of every step"),
    },
    resumable="checkpoint",
    metrics={"train/loss": "min"},
    positional=("data",),
    requires=("vlm",),
)
FINETUNE = Stage(
    name="vlm.finetune",
    summary="instructions teach language model and projector together",
    config=FinetuneConfig,
    implementation="fovea.vlm.finetune:finetune",
    outputs={
        "model": Output("vlm", "model", "the whole model"),
        "log": Output("log", "finetuning.log", "loss and rate of every step"),
    },
    resumable="checkpoint",
    metrics={"train/loss": "min"},
    positional=("model", "data"),
    requires=("vlm",),
)
EVALUATE = Stage(
    name="vlm.evaluate",
    summary="a model answers the questions of TextVQA or MMBench: scores, answers, a page",
    config=EvaluateConfig,
    implementation="fovea.vlm.evaluate:evaluate",
    outputs={
        "scores": Output("scores", "scores.json", "accuracy, and the score of every question"),
        "answers": Output("answers", "answers.jsonl", "a line a question"),
        "page": Output("page", "answers.html", "pictures, questions, answers"),
        "upload": Output(
            "file", "answers_upload.xlsx", "the table MMBench's server takes", optional=True
        ),
    },
    resumable="items",
    metrics={"score": "max", "questions": "max"},
    positional=("model", "questions"),
    requires=("vlm",),
)
COMPARE = Stage(
    name="vlm.compare",
    summary="scores of models side by side: what one data set has over another, and how sure",
    config=CompareConfig,
    implementation="fovea.vlm.compare:compare",
    outputs={
        "verdict": Output("scores", "verdict.json", "gains with their intervals"),
        "page": Output("page", "verdict.html", "the same as a page"),
    },
    metrics={"gain": "max", "gain_low": "max", "ratio": "max"},
    requires=("vlm",),
)
PACK = Stage(
    name="vlm.pack",
    summary="recipe, logs and answers become the challenge's submit.zip, checked as it will be",
    config=PackConfig,
    implementation="fovea.vlm.pack:pack",
    outputs={
        "archive": Output("file", "submit.zip", "what is handed in"),
        "card": Output("page", "card.html", "what the data is, on one page"),
    },
    metrics={"files": "max", "troubles": "min"},
    requires=("vlm",),
)
