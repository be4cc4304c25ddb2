"""A vision-language model: a tower that looks, tokens that join, a language model that speaks.

A model's folder holds `model.json`, `tokens.safetensors` and, once the language model was trained,
`language/` as transformers writes it; without it, `model.json` names where that comes from. The
tower never trains and is always named.

B samples, S positions, D the language model's width.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn
from torch.nn import functional

from fovea.dialect import mapping
from fovea.errors import ConfigError, DataError
from fovea.runs.durable import write_json
from fovea.training.checkpoint import read_weights
from fovea.vlm.conversation import IGNORE, TEMPLATES, Template
from fovea.vlm.model import mgm
from fovea.vlm.model.language import (
    TINY,
    HubTokenizer,
    empty_language,
    filled_language,
    load_language,
    load_tokenizer,
    template_of,
    tiny_config,
    tiny_tokenizer,
)
from fovea.vlm.model.projector import ImageTokens
from fovea.vlm.model.towers import CLIP, CONVNEXT, Tower, TowerName, build_tower
from fovea.vlm.settings.model import ModelConfig
from fovea.vlm.splice import Spliced, splice

ABOUT = "model.json"
TOKENS = "tokens.safetensors"
LANGUAGE = "language"
TOWER = "tower.safetensors"
LONGEST = 2048


@dataclass(frozen=True)
class Architecture:
    """What a model is made of, and what reads it again."""

    language: str
    tower: TowerName
    size: int
    projector: str = "mlp2x_gelu"
    grid: int = 1
    whole: bool = False
    template: str = "gemma"
    longest: int = LONGEST
    """Positions of a sample, images among them."""
    clip: str = CLIP
    """Where the towers' weights come from: a folder, or a name on Hugging Face's hub."""
    convnext: str = CONVNEXT

    @classmethod
    def of(cls, settings: ModelConfig, longest: int = LONGEST) -> Architecture:
        """As the settings of a stage say."""
        language = str(settings.choice("language"))
        template = settings.template
        return cls(
            language=language,
            tower=cast(TowerName, settings.choice("tower")),
            size=int(cast(int, settings.choice("size"))) * (1 if settings.size else settings.grid),
            projector=settings.projector,
            grid=settings.grid,
            whole=settings.whole,
            template=template_of(language).name if template == "auto" else template,
            longest=longest,
        )


class VisionLanguageModel(nn.Module):
    """Pictures and tokens in, tokens out.

    Args:
        architecture: what it is made of.
        tower, language: its parts.
        tokenizer: of the language model.
    """

    def __init__(
        self,
        architecture: Architecture,
        tower: Tower,
        language: nn.Module,
        tokenizer: HubTokenizer,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.tokenizer = tokenizer
        self.tower = tower.requires_grad_(False).eval()
        self.language = language
        self.has_own_tower = False
        """Whether the tower's weights are of the model's folder, not as they are published."""
        self.width = width = int(cast(Any, language).config.hidden_size)
        self.tokens = ImageTokens(
            tower.shape.channels,
            tower.shape.aux_channels,
            width,
            kind=architecture.projector,
            grid=architecture.grid,
            has_whole=architecture.whole,
        )

    @property
    def template(self) -> Template:
        """How its turns are written."""
        return TEMPLATES[self.architecture.template]

    def train(self, mode: bool = True) -> VisionLanguageModel:
        """The tower never trains: MGM leaves its stochastic depth on, which only adds noise."""
        super().train(mode)
        self.tower.eval()
        return self

    def look(self, pictures: Float32[Tensor, "B 3 size size"]) -> tuple[Tensor, Tensor | None]:
        """The tower's features of each picture."""
        with torch.no_grad():
            return self.tower(pictures)

    def see(self, patches: Tensor, aux: Tensor | None) -> Float[Tensor, "B tokens D"]:
        """The image tokens of features."""
        return self.tokens(patches, aux)

    def spliced(
        self,
        rows: Sequence[Int[Tensor, " length"]],
        labels: Sequence[Int[Tensor, " length"]] | None,
        images: Float[Tensor, "images tokens D"],
        *,
        padding: str = "right",
    ) -> Spliced:
        """Tokens and images as the language model takes them.

        Gemma multiplies its words by the root of their width; MGM's images are multiplied with
        them, wherever transformers does it.
        """
        embed = cast(Any, self.language).get_input_embeddings()
        images = images * getattr(embed, "embed_scale", 1.0)
        side = "left" if padding == "left" else "right"
        longest = self.architecture.longest
        return splice(rows, labels, images, embed, longest=longest, padding=side)

    def forward(self, given: Spliced) -> Float32[Tensor, ""]:
        """How surprised the model is by the labels: mean cross entropy over them, in nats.

        Words are only guessed at positions where some sample has a label: the vocabulary is the
        dearest layer of a small language model.
        """
        following = given.labels[:, 1:]
        places = torch.nonzero((following != IGNORE).any(0))[:, 0]
        out = self.language(
            inputs_embeds=given.embeddings,
            attention_mask=given.attention.long(),
            use_cache=False,
            logits_to_keep=places,
        )
        guessed = out.logits.float().flatten(0, 1)
        return functional.cross_entropy(
            guessed, following[:, places].flatten(), ignore_index=IGNORE
        )

    def save(self, folder: Path, *, is_whole: bool) -> None:
        """Write the model: all of it, or only the tokens and where the rest comes from."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tokens = {k: v.detach().cpu().contiguous() for k, v in self.tokens.state_dict().items()}
        save_file(tokens, folder / TOKENS)
        if is_whole or self.architecture.language == TINY:
            cast(Any, self.language).save_pretrained(folder / LANGUAGE)
            self.tokenizer.save(folder / LANGUAGE)
        if self.has_own_tower:
            seen = {k: v.detach().cpu().contiguous() for k, v in self.tower.state_dict().items()}
            save_file(seen, folder / TOWER)
        write_json(folder / ABOUT, {"fovea": "vlm", **asdict(self.architecture)})


def build(
    architecture: Architecture, *, texts: Sequence[str] = (), seed: int = 0
) -> VisionLanguageModel:
    """A model at the beginning of its training: towers and words as published, tokens drawn.

    Args:
        architecture: what it is made of.
        texts: what `tiny` is to learn the words of.
        seed: of the weights that are drawn.

    Raises:
        ConfigError: `tiny` is wanted without texts.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tower = _tower(architecture)
        tower.load_state_dict(tower.weights())
        if architecture.language != TINY:
            tokenizer = load_tokenizer(architecture.language)
            return VisionLanguageModel(
                architecture, tower, load_language(architecture.language), tokenizer
            )
        if not texts:
            raise ConfigError(
                "the language model tiny learns its words from its data, and there is none here. "
                "Give a model's folder, or model.language=smollm2-135m."
            )
        tokenizer = tiny_tokenizer(texts)
        language = empty_language(tiny_config(tokenizer.size))
        return VisionLanguageModel(architecture, tower, language, tokenizer)


def load(folder: Path, *, seed: int = 0) -> VisionLanguageModel:
    """A model from its folder.

    Args:
        folder: as `VisionLanguageModel.save` writes it, or as MGM's scripts do.
        seed: of what the folder does not hold and nobody publishes.

    Raises:
        DataError: it is no model's folder, or its weights do not fit.
    """
    if not (folder / ABOUT).is_file() and mgm.is_mgm(folder):
        return _load_mgm(folder)
    architecture = read_architecture(folder)
    tower = _tower(architecture)
    has_own_tower = (folder / TOWER).is_file()
    tower.load_state_dict(_tensors(folder / TOWER) if has_own_tower else tower.weights())
    place = language_place(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VisionLanguageModel(
            architecture, tower, load_language(place), load_tokenizer(place)
        )
    model.has_own_tower = has_own_tower
    model.tokens.load_state_dict(read_tokens(folder / TOKENS, model.tokens))
    return model


def language_place(folder: Path) -> str:
    """Where the language model of a folder is: inside it, or where its name says."""
    if (folder / LANGUAGE).is_dir():
        return str(folder / LANGUAGE)
    return read_architecture(folder).language


def _tower(architecture: Architecture) -> Tower:
    return build_tower(
        architecture.tower,
        architecture.size,
        clip=architecture.clip,
        convnext=architecture.convnext,
        grid=architecture.grid,
        has_whole=architecture.whole,
    )


def _load_mgm(folder: Path) -> VisionLanguageModel:
    """The model in a folder of MGM: all of it, or its projector on the language model it names."""
    said = mgm.describe(folder)
    held = mgm.Weights(folder)
    values = said.values
    architecture = Architecture(
        language=said.base,
        tower="clip+convnext",
        size=int(values.get("image_size_aux", 768)),
        projector=str(values.get("mm_projector_type", "mlp2x_gelu")),
        grid=int(values.get("image_grid") or 1),
        whole=bool(values.get("image_global")),
        longest=int(values.get("tokenizer_model_max_length", LONGEST)),
        clip=said.tower("mm_vision_tower", CLIP),
        convnext=said.tower("mm_vision_tower_aux", CONVNEXT),
    )
    if said.is_whole:
        place = str(folder)
        with torch.device("meta"):
            language = empty_language(said.language)
    else:
        place = said.base
        language = load_language(place)
    tokenizer = load_tokenizer(place, config=said.language)
    model = VisionLanguageModel(architecture, _tower(architecture), language, tokenizer)
    ours = mgm.names(model)
    parts = ("language.",) * said.is_whole + ("tokens.",) + ("tower.",) * held.has_towers
    ours = {theirs: name for theirs, name in ours.items() if name.startswith(parts)}
    shapes = model.state_dict()
    held.check({theirs: tuple(shapes[name].shape) for theirs, name in ours.items()})
    found = {ours[theirs]: value for theirs, value in held.read(ours).items()}
    _need_numbers(found, folder)
    if said.is_whole:
        model.language = filled_language(language, _below(found, "language."))
    model.tokens.load_state_dict(_below(found, "tokens."))
    model.has_own_tower = held.has_towers
    model.tower.load_state_dict(
        _below(found, "tower.") if held.has_towers else model.tower.weights()
    )
    return model


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def read_architecture(folder: Path) -> Architecture:
    """What a model's folder says it is.

    Raises:
        DataError: it says nothing, or nothing that is known.
    """
    try:
        about = dict(mapping(json.loads((folder / ABOUT).read_text(encoding="utf-8"))))
        about.pop("fovea", None)
        return Architecture(**about)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"a model's folder holds {ABOUT}, as vlm.pretrain and vlm.finetune write it; {folder}: "
            f"{error}. Give the folder of one of them."
        ) from error


def read_tokens(path: Path, wanted: ImageTokens) -> dict[str, Tensor]:
    """The weights that join tower and language; MGM's `mm_projector.bin` is taken as well.

    Raises:
        DataError: a weight is missing, of another shape, or not a number.
        ArtifactError: it is no file of weights.
    """
    if path.suffix == ".bin":
        state = {name.removeprefix("model."): value for name, value in read_weights(path).items()}
    else:
        state = _tensors(path)
    found: dict[str, Tensor] = {}
    for name, weight in wanted.state_dict().items():
        if name not in state or state[name].shape != weight.shape:
            there = f"of shape {tuple(state[name].shape)}" if name in state else "missing"
            raise DataError(
                f"{path} should hold {name} of shape {tuple(weight.shape)}; it is {there}. Give "
                "the projector of a model with the same tower and language model."
            )
        found[name] = state[name].float()
    _need_numbers(found, path)
    return found


def _need_numbers(state: dict[str, Tensor], path: Path) -> None:
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise DataError(
                f"{name} in {path} holds NaN or infinity: the training behind it diverged. Take an "
                "earlier checkpoint."
            )


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def write_mm_projector(path: Path, model: VisionLanguageModel) -> None:
    """The file that MGM's own scripts call `mm_projector.bin`."""
    torch.save({f"model.{k}": v for k, v in model.tokens.state_dict().items()}, path)
