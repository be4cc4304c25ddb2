"""MGM-2B: the published names and shapes, and a folder of the same kind in small."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    GemmaConfig,
    GemmaForCausalLM,
)
from vlm.hub_models import tokenizer

from fovea.errors import ConfigError, DataError
from fovea.vlm.generate import answer
from fovea.vlm.model import mgm
from fovea.vlm.model.convnext import LARGE, ConvNext, ConvNextShape
from fovea.vlm.model.language import empty_language
from fovea.vlm.model.model import (
    Architecture,
    VisionLanguageModel,
    load,
    read_tokens,
    write_mm_projector,
)
from fovea.vlm.model.towers import CLIP, ClipTower, build_tower

CLIP_SIZES = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14, "projection_dim": 8,
}  # fmt: skip
GEMMA_SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 1, "head_dim": 8,
}  # fmt: skip
CONVNEXT_SIZES = ConvNextShape((4, 8, 8, 12), (1, 1, 2, 1))
QUESTION = "<image>\nwhat color is the wall?"


def published_table() -> dict[str, tuple[int, ...]]:
    """The names and shapes of MGM-2B, written out from its published sizes."""
    wide, narrow, vocabulary = 2048, 16384, 256_000
    table: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocabulary, wide),
        "lm_head.weight": (vocabulary, wide),
        "model.norm.weight": (wide,),
    }
    for n in range(18):
        layer = f"model.layers.{n}."
        table |= {
            f"{layer}self_attn.q_proj.weight": (2048, wide),
            f"{layer}self_attn.k_proj.weight": (256, wide),
            f"{layer}self_attn.v_proj.weight": (256, wide),
            f"{layer}self_attn.o_proj.weight": (wide, 2048),
            f"{layer}mlp.gate_proj.weight": (narrow, wide),
            f"{layer}mlp.up_proj.weight": (narrow, wide),
            f"{layer}mlp.down_proj.weight": (wide, narrow),
            f"{layer}input_layernorm.weight": (wide,),
            f"{layer}post_attention_layernorm.weight": (wide,),
        }
    table |= {
        "model.mm_projector.0.weight": (wide, 1024), "model.mm_projector.0.bias": (wide,),
        "model.mm_projector.2.weight": (wide, wide), "model.mm_projector.2.bias": (wide,),
    }  # fmt: skip
    for part, channels in (("query", 1024), ("aux", 2880), ("val", 2880)):
        name = f"model.vlm_uni_{part}_projector."
        table |= {
            f"{name}0.weight": (channels,), f"{name}0.bias": (channels,),
            f"{name}1.weight": (1024, channels), f"{name}1.bias": (1024,),
        }  # fmt: skip
    clip = "model.vision_tower.vision_tower.vision_model."
    table |= {
        f"{clip}embeddings.class_embedding": (1024,),
        f"{clip}embeddings.patch_embedding.weight": (1024, 3, 14, 14),
        f"{clip}embeddings.position_embedding.weight": (577, 1024),
    }
    for n in range(24):
        layer = f"{clip}encoder.layers.{n}."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            table |= {
                f"{layer}self_attn.{part}.weight": (1024, 1024),
                f"{layer}self_attn.{part}.bias": (1024,),
            }
        table |= {
            f"{layer}mlp.fc1.weight": (4096, 1024), f"{layer}mlp.fc1.bias": (4096,),
            f"{layer}mlp.fc2.weight": (1024, 4096), f"{layer}mlp.fc2.bias": (1024,),
        }  # fmt: skip
        for norm in ("layer_norm1", "layer_norm2"):
            table |= {f"{layer}{norm}.weight": (1024,), f"{layer}{norm}.bias": (1024,)}
    for norm in ("pre_layrnorm", "post_layernorm"):
        table |= {f"{clip}{norm}.weight": (1024,), f"{clip}{norm}.bias": (1024,)}
    table |= convnext_table("model.vision_tower_aux.vision_", LARGE)
    return table


def convnext_table(prefix: str, shape: ConvNextShape) -> dict[str, tuple[int, ...]]:
    first = shape.widths[0]
    table: dict[str, tuple[int, ...]] = {
        f"{prefix}stem.0.weight": (first, 3, 4, 4), f"{prefix}stem.0.bias": (first,),
        f"{prefix}stem.1.weight": (first,), f"{prefix}stem.1.bias": (first,),
    }  # fmt: skip
    before = first
    for n, (width, depth) in enumerate(zip(shape.widths, shape.depths, strict=True)):
        stage = f"{prefix}stages.{n}."
        if n:
            table |= {
                f"{stage}downsample.0.weight": (before,), f"{stage}downsample.0.bias": (before,),
                f"{stage}downsample.1.weight": (width, before, 2, 2),
                f"{stage}downsample.1.bias": (width,),
            }  # fmt: skip
        for block in range(depth):
            b = f"{stage}blocks.{block}."
            table |= {
                f"{b}gamma": (width,), f"{b}conv_dw.weight": (width, 1, 7, 7),
                f"{b}conv_dw.bias": (width,), f"{b}norm.weight": (width,),
                f"{b}norm.bias": (width,),
                f"{b}mlp.fc1.weight": (4 * width, width), f"{b}mlp.fc1.bias": (4 * width,),
                f"{b}mlp.fc2.weight": (width, 4 * width), f"{b}mlp.fc2.bias": (width,),
            }  # fmt: skip
        before = width
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stage 2 of MGM's scripts leaves, in small, made by transformers' own classes."""
    place = tmp_path_factory.mktemp("mgm") / "MGM-2B"
    torch.manual_seed(3)
    tokens = tokenizer(
        "<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", bos_token="<bos>"
    )
    tokens.add_bos_token = True
    gemma = GemmaForCausalLM(GemmaConfig(**GEMMA_SIZES, vocab_size=len(tokens), bos_token_id=2,
                                         eos_token_id=1, pad_token_id=0))  # fmt: skip
    clip = CLIPVisionModel(CLIPVisionConfig(**CLIP_SIZES))
    clip.save_pretrained(place / "clip")
    aux = ConvNext(CONVNEXT_SIZES)
    (place / "openclip").mkdir()
    torch.save(
        {f"visual.trunk.{name}": weight for name, weight in aux.state_dict().items()},
        place / "openclip" / "open_clip_pytorch_model.bin",
    )
    joined: dict[str, tuple[int, ...]] = {}
    for name, shape in published_table().items():
        if "projector" in name:
            sizes = {2048: 32, 1024: 16, 2880: sum(CONVNEXT_SIZES.widths)}
            joined[name] = tuple(sizes[side] for side in shape)
    state: dict[str, torch.Tensor] = {
        k: v for k, v in gemma.state_dict().items() if k != "lm_head.weight"
    }
    state |= {name: torch.randn(shape) * 0.3 for name, shape in joined.items()}
    inner = "model.vision_tower.vision_tower.vision_model."
    state |= {inner + k.removeprefix("vision_model."): v for k, v in clip.state_dict().items()}
    state |= {f"model.vision_tower_aux.vision_{k}": v for k, v in aux.state_dict().items()}
    state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    write_shards(place, state)
    config = gemma.config.to_dict() | {
        "model_type": "mgm_gemma", "architectures": ["MGMGemmaForCausalLM"],
        "_name_or_path": "google/gemma-2b-it", "mm_vision_tower": str(place / "clip"),
        "mm_vision_tower_aux": str(place / "openclip"), "mm_hidden_size": 16,
        "mm_hidden_size_aux": 32, "mm_projector_type": "mlp2x_gelu", "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch", "image_size_aux": 64, "image_grid": 1,
        "image_global": False, "image_aspect_ratio": "pad", "use_mm_proj": True,
        "tokenizer_padding_side": "right", "tokenizer_model_max_length": 96,
        "tune_mm_mlp_adapter": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    (place / "config.json").write_text(json.dumps(config))
    tokens.save_pretrained(place)
    return place


def write_shards(place: Path, state: dict[str, torch.Tensor], parts: int = 2) -> None:
    names = sorted(state)
    where: dict[str, str] = {}
    for number in range(parts):
        file = f"model-{number + 1:05d}-of-{parts:05d}.safetensors"
        inside = names[number::parts]
        save_file({n: state[n].bfloat16().contiguous() for n in inside}, place / file)
        where |= dict.fromkeys(inside, file)
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))


def read_shards(place: Path) -> dict[str, torch.Tensor]:
    return {k: v for file in place.glob("model-*.safetensors") for k, v in load_file(file).items()}


def copied(folder: Path, place: Path, **changed: object) -> Path:
    """The folder's small files elsewhere, with other settings."""
    import shutil

    shutil.copytree(folder, place)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | changed))
    return place


def test_every_name_and_shape_of_the_published_model_is_ours() -> None:
    language: Any = GemmaConfig(
        hidden_size=2048, intermediate_size=16384, num_hidden_layers=18, num_attention_heads=8,
        num_key_value_heads=1, head_dim=256, vocab_size=256_000,
    )  # fmt: skip
    with torch.device("meta"):
        model = VisionLanguageModel(
            Architecture("google/gemma-2b-it", "clip+convnext", 768),
            build_tower("clip+convnext", 768),
            empty_language(language),
            tokenizer=None,  # pyright: ignore[reportArgumentType], none is asked here
        )
    state = model.state_dict()
    ours = {theirs: tuple(state[name].shape) for theirs, name in mgm.names(model).items()}
    assert ours == published_table()
    learning = {n: w.numel() for n, w in model.tokens.named_parameters()}
    assert sum(learning.values()) == pytest.approx(13.26e6, abs=0.01e6)


def test_a_folder_is_read_weight_by_weight(folder: Path) -> None:
    model = load(folder)
    held = read_shards(folder)
    state = model.state_dict()
    for theirs, ours in mgm.names(model).items():
        if theirs in held:
            assert torch.equal(state[ours], held[theirs].float()), theirs
    head, words = "language.lm_head.weight", "language.model.embed_tokens.weight"
    assert torch.equal(state[head], state[words])
    assert model.architecture.longest == 96
    assert model.template.name == "gemma"


def test_a_folder_speaks_as_the_published_code_would(folder: Path) -> None:
    """The way from picture to word, written again from the paper and the published sizes."""
    model = load(folder).eval()
    held = {name: value.float() for name, value in read_shards(folder).items()}
    large = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    small = torch.nn.functional.interpolate(large, (28, 28), mode="bilinear", align_corners=False)
    clip = CLIPVisionModel.from_pretrained(folder / "clip")
    ours = {k: v for k, v in model.tower.state_dict().items() if k.startswith("vision_tower.")}
    clip.load_state_dict({k.removeprefix("vision_tower."): v for k, v in ours.items()})
    with torch.no_grad():
        embedded = clip.pre_layrnorm(clip.embeddings(small))
        for layer in clip.encoder.layers[:-1]:
            embedded = layer(embedded, None)
        patches = embedded[:, 1:]
        seen, _ = model.look(large)
    torch.testing.assert_close(seen, patches, atol=1e-5, rtol=1e-4)
    rows = [torch.tensor([2, 7, -200, 9, 11])]
    with torch.no_grad():
        images = model.see(*model.look(large))
        given = model.spliced(rows, None, images)
    words = held["model.embed_tokens.weight"]
    scale = 32**0.5
    expected = torch.cat([words[[2, 7]] * scale, images[0] * scale, words[[9, 11]] * scale])
    torch.testing.assert_close(given.embeddings[0], expected, atol=1e-5, rtol=1e-4)
    assert answer(model, [QUESTION], [None], most=3) == answer(model, [QUESTION], [None], most=3)


def test_a_folder_with_its_own_towers_keeps_them_when_it_is_saved(
    folder: Path, tmp_path: Path
) -> None:
    model = load(folder)
    with torch.no_grad():
        next(model.tower.parameters()).add_(1.0)
    model.save(tmp_path / "saved", is_whole=True)
    again = load(tmp_path / "saved")
    for name, weight in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name


def test_towers_that_a_folder_lacks_come_from_where_it_says(folder: Path, tmp_path: Path) -> None:
    place = copied(folder, tmp_path / "bare")
    bare = {k: v for k, v in read_shards(place).items() if ".vision_tower" not in k}
    for file in place.glob("model-*"):
        file.unlink()
    write_shards(place, bare, parts=1)
    model, whole = load(place), load(folder)
    assert not model.has_own_tower
    for name, weight in whole.tower.state_dict().items():
        torch.testing.assert_close(model.tower.state_dict()[name], weight, atol=0.02, rtol=0.01)


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("model.mm_projector.2.bias", None, r"lacks model\.mm_projector\.2\.bias\. Give"),
        ("model.layers.1.mlp.up_proj.weight", None, r"lacks model\.layers\.1\.mlp\.up_proj"),
        (
            "model.vlm_uni_aux_projector.1.weight",
            (16, 31),
            r"another shape model\.vlm_uni_aux_projector\.1\.weight \[16, 31\] for \[16, 32\]",
        ),
        (
            "model.mm_projector.4.weight",
            (2, 2),
            r"has model\.mm_projector\.4\.weight which no part",
        ),
        ("model.vision_tower_aux.vision_stages.2.blocks.1.gamma", None, r"lacks .*1\.gamma"),
    ],
)
def test_weights_missing_left_over_or_misshapen_are_named(
    folder: Path, tmp_path: Path, name: str, change: tuple[int, ...] | None, sentence: str
) -> None:
    place = copied(folder, tmp_path / "broken")
    state = read_shards(place)
    state.pop(name, None)
    if change:
        state[name] = torch.zeros(change)
    write_shards(place, state)
    with pytest.raises(DataError, match=sentence):
        load(place)


def test_a_shard_that_is_not_there_is_told(folder: Path, tmp_path: Path) -> None:
    place = copied(folder, tmp_path / "cut")
    (place / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        DataError, match=r"names 2 files .* model-00002-of-00002\.safetensors is not"
    ):
        load(place)


def test_a_model_that_was_trained_to_nothing_is_told(folder: Path, tmp_path: Path) -> None:
    place = copied(folder, tmp_path / "nan")
    state = read_shards(place)
    state["model.mm_projector.0.bias"].fill_(float("nan"))
    write_shards(place, state)
    with pytest.raises(DataError, match="holds NaN or infinity"):
        load(place)


def test_settings_that_were_never_published_are_refused(folder: Path, tmp_path: Path) -> None:
    place = copied(folder, tmp_path / "odd", mm_vision_select_layer=-1)
    with pytest.raises(DataError, match=r"mm_vision_select_layer=-2, and .* says -1"):
        load(place)


def test_what_stage_one_leaves_joins_the_language_model_it_names(
    folder: Path, tmp_path: Path
) -> None:
    whole = load(folder)
    language = tmp_path / "gemma"
    whole.language.save_pretrained(language)  # pyright: ignore[reportCallIssue], it is transformers'
    whole.tokenizer.save(language)
    stage = tmp_path / "MGM-2B-Pretrain"
    stage.mkdir()
    config = json.loads((folder / "config.json").read_text())
    (stage / "config.json").write_text(json.dumps(config | {"_name_or_path": str(language)}))
    write_mm_projector(stage / "mm_projector.bin", whole)
    model = load(stage)
    for name, weight in whole.tokens.state_dict().items():
        assert torch.equal(model.tokens.state_dict()[name], weight), name

    theirs = {k: v for k, v in read_shards(folder).items() if ".vision_tower" in k or "proj" in k}
    theirs = {k: v for k, v in theirs.items() if ".layers." not in k or ".vision_tower" in k}
    torch.save(theirs, stage / "mm_projector.bin")
    with_towers = load(stage)
    assert with_towers.has_own_tower
    assert read_tokens(stage / "mm_projector.bin", whole.tokens).keys() == set(
        whole.tokens.state_dict()
    )


def test_a_name_of_the_authors_disk_means_the_published_tower(tmp_path: Path) -> None:
    said = mgm.Described(
        tmp_path, {"mm_vision_tower": "model_zoo/OpenAI/clip-vit-large-patch14-336"}
    )
    assert said.tower("mm_vision_tower", CLIP) == CLIP
    other = mgm.Described(tmp_path, {"mm_vision_tower": "openai/clip-vit-base-patch32"})
    assert other.tower("mm_vision_tower", CLIP) == "openai/clip-vit-base-patch32"


def test_crops_come_before_whole_pictures() -> None:
    tower = ClipTower(CLIPVisionConfig(**CLIP_SIZES), CONVNEXT_SIZES, 128, grid=2, has_whole=True)
    tower.eval()
    large = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    views = tower._views(large)
    side = torch.nn.functional.interpolate(large, (56, 56), mode="bilinear", align_corners=False)
    assert tuple(views.shape) == (10, 3, 28, 28)
    assert torch.equal(views[1], side[0, :, :28, 28:])
    assert torch.equal(views[6], side[1, :, 28:, :28])
    whole = torch.nn.functional.interpolate(side, (28, 28), mode="bilinear", align_corners=False)
    assert torch.equal(views[8:], whole)
    with torch.no_grad():
        patches, aux = tower(large)
    assert tuple(patches.shape) == (10, 4, 16)
    assert aux is not None
    assert tuple(aux.shape) == (2, 32, 32, 32)
    with pytest.raises(ConfigError, match="crops are for CLIP's towers"):
        build_tower("efficientnet", 64, grid=2)


def test_names_of_the_tower_do_not_depend_on_transformers_version() -> None:
    for ours in ("tower.vision_tower.embeddings.x", "tower.vision_tower.vision_model.embeddings.x"):
        found = mgm.published_name(ours)
        assert found == "model.vision_tower.vision_tower.vision_model.embeddings.x"
    stem = mgm.published_name("tower.vision_tower_aux.stem.0.weight")
    assert stem == "model.vision_tower_aux.vision_stem.0.weight"
