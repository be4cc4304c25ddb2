"""Captions and questions of made pictures: right ones, and the ways in which captions go wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fovea.synth.made.scene import COLORS, GROUNDS, PLACES, SHAPES, MadeObject, MadeScene

CAPTIONS = (
    "a {things} on a {ground} background",
    "{things} in front of a {ground} background",
    "a picture of a {things}, the background is {ground}",
    "there is a {things} on a {ground} ground",
)
VAGUE = ("image {number}", "a picture", "img_{number}.jpg", "untitled", "photo of the day {number}")
CLUTTER = (
    "{caption} - buy it now at www.pictures{number}.com",
    "{caption} ||||| ########## stock photo",
    "!!! {caption} !!! click here !!!",
    "{caption} {caption} {caption}",
)
PROMPTS = (
    "Describe the image concisely.",
    "Provide a brief description of the given image.",
    "What is in the photo?",
    "Write a terse but informative summary of the picture.",
)
"""What a caption is the answer to."""


@dataclass(frozen=True)
class Asked:
    """A question about a picture."""

    question: str
    answer: str
    others: tuple[str, ...]
    """Answers that would be wrong, of the same sort."""
    category: str


def terse(scene: MadeScene) -> str:
    """A right caption in as few words as do: `small red star at the top left, plain ground`."""
    things = " and ".join(f"{thing.words} at the {thing.place}" for thing in scene.objects)
    return f"{things}, {scene.ground} ground"


def caption(scene: MadeScene, rng: np.random.Generator) -> str:
    """A right caption in a sentence: what is there, where, and before what."""
    things = " and a ".join(f"{thing.words} at the {thing.place}" for thing in scene.objects)
    pattern = CAPTIONS[int(rng.integers(len(CAPTIONS)))]
    if pattern.startswith("{"):
        things = f"a {things}"
    return pattern.format(things=things, ground=scene.ground)


def vague(rng: np.random.Generator) -> str:
    """A caption that says nothing."""
    return VAGUE[int(rng.integers(len(VAGUE)))].format(number=int(rng.integers(10_000)))


def cluttered(text: str, rng: np.random.Generator) -> str:
    """A caption as shops and scrapers leave it."""
    pattern = CLUTTER[int(rng.integers(len(CLUTTER)))]
    return pattern.format(caption=text, number=int(rng.integers(10_000)))


def asked(scene: MadeScene, rng: np.random.Generator) -> Asked:
    """A question by chance, with its answer."""
    kinds = [_color, _shape, _place, _ground, _size]
    if len(scene.objects) > 1:
        kinds.append(_beside)
    kind = kinds[int(rng.integers(len(kinds)))]
    thing = scene.objects[int(rng.integers(len(scene.objects)))]
    return kind(scene, thing)


def _without(words: tuple[str, ...], right: str) -> tuple[str, ...]:
    return tuple(word for word in words if word != right)


def _color(scene: MadeScene, thing: MadeObject) -> Asked:
    others = _without(tuple(COLORS), thing.color)
    return Asked(f"What color is the {thing.shape}?", thing.color, others, "attribute_recognition")


def _shape(scene: MadeScene, thing: MadeObject) -> Asked:
    others = _without(SHAPES, thing.shape)
    return Asked(f"What is the {thing.color} object?", thing.shape, others, "object_localization")


def _place(scene: MadeScene, thing: MadeObject) -> Asked:
    others = _without(tuple(PLACES), thing.place)
    question = f"Where is the {thing.shape}?"
    return Asked(question, thing.place, others, "spatial_relationship")


def _ground(scene: MadeScene, thing: MadeObject) -> Asked:
    others = _without(GROUNDS, scene.ground)
    return Asked("What is the background like?", scene.ground, others, "image_scene")


def _size(scene: MadeScene, thing: MadeObject) -> Asked:
    other = "small" if thing.size == "large" else "large"
    question = f"Is the {thing.shape} small or large?"
    return Asked(question, thing.size, (other,), "attribute_comparison")


def _beside(scene: MadeScene, thing: MadeObject) -> Asked:
    rest = [each for each in scene.objects if each is not thing]
    right = rest[0].shape
    known = {each.shape for each in scene.objects}
    others = tuple(word for word in SHAPES if word not in known)
    question = f"What is there besides the {thing.shape}?"
    return Asked(question, right, others, "physical_relation")
