"""`fovea vlm chat`: a picture, a model, and questions; nothing is kept."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from fovea import console
from fovea.errors import ArtifactError


def main(arguments: list[str]) -> int:
    """Talk with a model about a picture."""
    options = _parser().parse_args(arguments)
    for path, what in ((options.picture, "a picture"), (options.model, "a model's folder")):
        if not path.exists():
            raise ArtifactError(
                f"fovea vlm chat needs {what}, and {path} does not exist. Give one that does."
            )

    from fovea.runs.device import automatic
    from fovea.vlm.generate import answer, with_image
    from fovea.vlm.model.model import load
    from fovea.vlm.picture import read_picture

    read_picture(options.picture)
    device = automatic() if options.device == "auto" else options.device
    model = load(options.model).to(device).eval()
    for question in _questions(options.question):
        (said,) = answer(model, [with_image(question)], [options.picture], most=options.most_tokens)
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
        "--model", type=Path, required=True, help="the folder of vlm.finetune or vlm.pretrain"
    )
    parser.add_argument(
        "--question", action="append", default=[], help="what to ask; may be given several times"
    )
    parser.add_argument("--most-tokens", type=int, default=128, help="tokens of an answer (128)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N (auto)")
    return parser
