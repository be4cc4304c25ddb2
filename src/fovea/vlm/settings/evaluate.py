"""What `vlm.evaluate` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class EvaluateConfig(Config):
    """A model answers a benchmark's questions; or answers that exist are scored."""

    model: Path | None = artifact(
        "vlm", "the model that answers: ours, MGM's, or a folder of transformers", optional=True
    )
    hub: str = setting(
        "",
        "in its place, the name of a model of transformers that lies in Hugging Face's cache",
        local_only=True,
    )
    answers: Path | None = artifact(
        "answers", "answers that exist already, scored in place of a model's", optional=True
    )
    task: Literal["textvqa", "mmbench"] = setting("textvqa", "the benchmark")
    questions: Path = artifact("file", "TextVQA's annotations (.json) or MMBench's table (.tsv)")
    prompts: Path | None = artifact(
        "file", "LLaVA's list of TextVQA prompts, in place of our wording", optional=True
    )
    images: Path | None = artifact(
        "folder", "the folder of TextVQA's pictures; else beside the questions", optional=True
    )
    ocr: bool = setting(True, "show the model the words that an OCR found in TextVQA's pictures")
    reader: Literal["annotations", "rapidocr"] = setting(
        "annotations", "whose words: those of the annotations, or read now by rapidocr-onnxruntime"
    )
    processor: Literal["textvqa", "vqa"] = setting(
        "textvqa", "how answers are made alike: LLaVA's and MGM's way, or VLMEvalKit's"
    )
    style: Literal["llava", "vlmeval"] = setting("llava", "wording of MMBench's questions")
    language: Literal["en", "cn"] = setting("en", "of the instruction behind MMBench's questions")
    all_rounds: bool = setting(False, "rotate the options of a table that has no rotations")
    most_tokens: int = setting(128, "tokens of an answer", ge=1)
    batch: int = setting(8, "questions at a time", ge=1)
    shape: Literal["square", "pad"] = setting("pad", "how pictures are made square")
    temperature: float = setting(0.0, "0 takes the likeliest word", ge=0)
    tags: dict[str, str | int | float] = setting(
        {}, "words that tell this model in a table: data=raw seed=1"
    )
    seed: int = setting(0, "of what is drawn", ge=0)
