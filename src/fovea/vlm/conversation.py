"""Conversations as tokens: templates, and which tokens a model is trained to say.

A conversation is a list of turns `{"from": "human" | "gpt", "value": ...}`, as LLaVA has them. The
answers are found by their place in the text (character offsets), never by tokenising parts again
and counting; what a template's own markers would tear apart is trained on nothing, and said.

Source: Liu et al., "Visual instruction tuning" (2023) for turns and image tokens; MGM's scripts for
the Gemma template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fovea.errors import DataError

IGNORE = -100
"""The label of a token that is not trained on."""
IMAGE_INDEX = -200
"""Stands in `input_ids` where an image's tokens will be."""
IMAGE_TOKEN = "<image>"

Turn = Mapping[str, str]


@dataclass(frozen=True)
class Token:
    """One token and the characters it stands for."""

    id: int
    start: int
    stop: int


class Tokenizer(Protocol):
    """What is needed of a tokenizer."""

    bos: int | None
    """Put before every text; None for a tokenizer that has none."""
    eos: int
    pad: int

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text, without special ones of its own."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        ...


@dataclass(frozen=True)
class Template:
    """How turns are written for one family of language models."""

    name: str
    system: str = ""
    user: str = "{}"
    """A question; `{}` is its text."""
    before_answer: str = ""
    after_answer: str = ""
    """Ends an answer and is trained on: a model must learn to stop."""
    markers: tuple[str, ...] = ()
    """Words of the template that no turn may hold."""


GEMMA = Template(
    "gemma",
    user="<start_of_turn>user\n{}<end_of_turn>\n",
    before_answer="<start_of_turn>model\n",
    after_answer="<end_of_turn>\n<eos>",
    markers=("<start_of_turn>", "<eos>"),
)
CHATML = Template(
    "chatml",
    user="<|im_start|>user\n{}<|im_end|>\n",
    before_answer="<|im_start|>assistant\n",
    after_answer="<|im_end|>\n",
    markers=("<|im_start|>", "<|im_end|>"),
)
VICUNA = Template(
    "vicuna",
    system="A chat between a curious user and an artificial intelligence assistant. The assistant "
    "gives helpful, detailed, and polite answers to the user's questions. ",
    user="USER: {} ",
    before_answer="ASSISTANT: ",
    after_answer="</s>",
    markers=("</s>",),
)
TEMPLATES = {template.name: template for template in (GEMMA, CHATML, VICUNA)}
TemplateName = Literal["gemma", "chatml", "vicuna"]


@dataclass(frozen=True)
class Encoded:
    """A conversation as a model is trained on it."""

    input_ids: tuple[int, ...]
    """With `IMAGE_INDEX` where an image goes."""
    labels: tuple[int, ...]
    """The tokens to say, `IGNORE` elsewhere."""
    trouble: str = ""
    """Why nothing of it is trained on; empty when something is."""


def normalised(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """The turns with each image token moved to the start of its own: `<image>` and a newline.

    Several tokens in one turn become one, as the reference has it.
    """
    moved: list[dict[str, str]] = []
    for turn in turns:
        value = turn["value"]
        if IMAGE_TOKEN in value:
            rest = value.replace(IMAGE_TOKEN, "").strip()
            value = f"{IMAGE_TOKEN}\n{rest}".strip()
        moved.append({"from": turn["from"], "value": value})
    return moved


def rounds(turns: Sequence[Turn]) -> list[tuple[str, str]]:
    """Questions with their answers; an answer before the first question is left out.

    Raises:
        DataError: the two do not take turns.
    """
    kept = list(turns[1:] if turns and turns[0]["from"] != "human" else turns)
    for place, turn in enumerate(kept):
        wanted = "human" if place % 2 == 0 else "gpt"
        if turn["from"] != wanted:
            raise DataError(
                f"human and gpt take turns in a conversation; turn {place} is from "
                f"'{turn['from']}' where '{wanted}' was due: {turn['value'][:60]!r}. Mend the data."
            )
    questions, answers = kept[::2], kept[1::2]
    return [(q["value"], a["value"]) for q, a in zip(questions, answers, strict=False)]


def prompt_of(question: str, template: Template) -> str:
    """The text behind which the model goes on: one question, and the answer begun."""
    return template.system + template.user.format(question) + template.before_answer


def written(turns: Sequence[Turn], template: Template) -> tuple[str, list[tuple[int, int]]]:
    """A conversation's text, and where in it the answers with their endings stand.

    An empty answer is not ended, as the reference has it.
    """
    text, spans = template.system, []
    for question, answer in rounds(turns):
        text += template.user.format(question) + template.before_answer
        if answer:
            start = len(text)
            text += answer + template.after_answer
            spans.append((start, len(text)))
    return text, spans


def encode(
    turns: Sequence[Turn], tokenizer: Tokenizer, template: Template, *, has_image: bool
) -> Encoded:
    """A conversation's tokens and labels.

    Args:
        turns: of the conversation.
        tokenizer: of the language model.
        template: how its turns are written.
        has_image: whether `<image>` stands for one; otherwise it is a word like any other.
    """
    if has_image:
        turns = normalised(turns)
    text, spans = written(turns, template)
    tokens = image_tokens(text, tokenizer) if has_image else _with_bos(text, tokenizer)
    ids = tuple(token.id for token in tokens)
    trouble = _trouble(turns, template)
    if trouble:
        return Encoded(ids, (IGNORE,) * len(ids), trouble)
    return Encoded(ids, tuple(_labels(tokens, spans)))


def encode_plain(turns: Sequence[Turn], tokenizer: Tokenizer) -> Encoded:
    """Image and caption alone, as LLaVA aligns its projector: the question is dropped."""
    ((_, answer), *_) = rounds(turns)
    tokens = image_tokens(f"{IMAGE_TOKEN}{answer}\n", tokenizer)
    whole = [(len(IMAGE_TOKEN), tokens[-1].stop)]
    ids = tuple(token.id for token in tokens)
    return Encoded(ids, tuple(_labels(tokens, whole)))


def image_tokens(text: str, tokenizer: Tokenizer) -> list[Token]:
    """The tokens of a text cut at its images: each piece by itself, `IMAGE_INDEX` between them."""
    tokens: list[Token] = _with_bos("", tokenizer)
    start = 0
    for number, piece in enumerate(text.split(IMAGE_TOKEN)):
        if number:
            tokens.append(Token(IMAGE_INDEX, start, start + len(IMAGE_TOKEN)))
            start += len(IMAGE_TOKEN)
        found = tokenizer.tokens(piece)
        tokens += [Token(t.id, start + t.start, start + t.stop) for t in found]
        start += len(piece)
    return tokens


def _with_bos(text: str, tokenizer: Tokenizer) -> list[Token]:
    first = [] if tokenizer.bos is None else [Token(tokenizer.bos, 0, 0)]
    return [*first, *tokenizer.tokens(text)]


def _labels(tokens: Sequence[Token], spans: Sequence[tuple[int, int]]) -> list[int]:
    """A token is trained on if it begins inside an answer."""
    labels: list[int] = []
    for token in tokens:
        is_said = token.stop > token.start and any(a <= token.start < b for a, b in spans)
        labels.append(token.id if is_said else IGNORE)
    return labels


def _trouble(turns: Sequence[Turn], template: Template) -> str:
    """What keeps the answers from being told apart; one such turn silences the conversation."""
    for question, answer in rounds(turns):
        if not answer.strip():
            return "an answer is empty"
        for marker in template.markers:
            if marker in answer or marker in question:
                return f"a turn holds the template's own {marker}"
    return ""
