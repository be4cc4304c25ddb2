"""`fovea vlm chat`: a picture, a model, and questions; nothing is kept."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from fovea import console
from fovea.errors import ArtifactError, BusyError, ConfigError
from fovea.runs.device import place


def main(arguments: list[str]) -> int:
    """Talk with a model about a picture."""
    options = _parser().parse_args(arguments)
    if not options.picture.is_file():
        what = "is a folder" if options.picture.is_dir() else "does not exist"
        raise ArtifactError(f"fovea vlm chat needs a picture, and {options.picture} {what}.")
    if options.most_tokens < 1:
        raise ConfigError(f"--most-tokens is at least 1; found {options.most_tokens}.")
    placement = place(options.device)
    if placement is None:
        raise BusyError(
            "all GPUs that fit are at work for others. Wait, or talk on the processor: --device cpu"
        )
    os.environ.update(placement.environment)  # before torch counts the GPUs

    from fovea.vlm.generate import with_image
    from fovea.vlm.picture import read_picture
    from fovea.vlm.speaker import load_speaker

    picture = read_picture(options.picture)
    speaker = load_speaker(options.model, device=placement.device)
    for question in _questions(options.question):
        (said,) = speaker.answer([with_image(question)], [picture], most=options.most_tokens)
        console.answer(said, {"question": question, "answer": said})
    return 0


def _questions(given: list[str]) -> Iterator[str]:
    """Those of the command line; without any, what is typed until an empty line."""
    if given:
        yield from given
        return
    if sys.stdin.isatty():
        console.say("Ask about the picture; an empty line ends it.")
    for line in sys.stdin:
        if not line.strip():
            return
        yield line.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fovea vlm chat",
        description="Talk with a model about a picture. Without --question, questions are read "
        "line by line.",
    )
    parser.add_argument("picture", type=Path, help="a photograph")
    parser.add_argument(
        "--model",
        required=True,
        help="the folder of vlm.finetune or vlm.pretrain, of MGM or of transformers, or the name "
        "of a model in Hugging Face's cache",
    )
    parser.add_argument(
        "--question", action="append", default=[], help="what to ask; may be given several times"
    )
    parser.add_argument("--most-tokens", type=int, default=128, help="tokens of an answer (128)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:N or mps (auto)")
    return parser
