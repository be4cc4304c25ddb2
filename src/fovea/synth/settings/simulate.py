"""What `synth.simulate` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, setting


class NoiseConfig(Config):
    """What is wrong with part of the captions, as in data gathered from the web."""

    wrong: float = setting(0.35, "part that describes another picture", ge=0, le=1)
    vague: float = setting(0.1, "part that says nothing: 'image 1234', 'a picture'", ge=0, le=1)
    cluttered: float = setting(
        0.15, "part with an address, a slogan or a row of signs around it", ge=0, le=1
    )
    doubled: float = setting(0.05, "part of the rows that come twice", ge=0, le=1)
    broken: float = setting(0.005, "part of the pictures that are cut off or missing", ge=0, le=1)


class SimulateConfig(Config):
    """Drawn pictures with captions, some of them wrong, and questions with sure answers."""

    pairs: int = setting(3000, "pictures with a caption", ge=1)
    instructions: int = setting(1200, "questions with answers to learn from", ge=1)
    choice_share: float = setting(
        0.25, "part of the instructions that are multiple choice, each letter right as often",
        ge=0, le=1,
    )  # fmt: skip
    choice_answers: Literal["letter", "text"] = setting(
        "letter",
        "what multiple choice is answered with: the letter, asked LLaVA's way, or the option's"
        " text, asked VLMEvalKit's way; MMBench's rules take both",
    )
    questions: int = setting(400, "questions of the TextVQA form to be judged by", ge=1)
    choices: int = setting(80, "multiple-choice questions, each asked in all rotations", ge=1)
    size: int = setting(128, "side of a picture in pixels", ge=32, le=1024)
    most_objects: int = setting(2, "objects in a picture at most", ge=1, le=4)
    captions: Literal["sentences", "terse"] = setting(
        "sentences", "wording of the captions: sentences of several kinds, or as few words as do"
    )
    most_options: int = setting(4, "options of a multiple-choice question at most", ge=2, le=4)
    noise: NoiseConfig = setting(NoiseConfig(), "what is wrong with part of the captions")
    seed: int = setting(0, "of everything that is drawn", ge=0)
