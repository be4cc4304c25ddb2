"""The model's parts against other implementations and published sizes; saved and read again."""

from pathlib import Path

import pytest
import torch
from transformers import ConvNextConfig, ConvNextModel

from fovea.errors import BackendError, DataError
from fovea.vlm.generate import answer
from fovea.vlm.model.convnext import ConvNext, ConvNextShape
from fovea.vlm.model.language import template_of, tiny_tokenizer
from fovea.vlm.model.model import (
    Architecture,
    VisionLanguageModel,
    build,
    load,
    read_tokens,
    write_mm_projector,
)
from fovea.vlm.model.towers import build_tower, openclip_trunk

TEXTS = ["a large red star at the top left", "what color is the ring? blue\n"]
TINY = Architecture(language="tiny", tower="efficientnet", size=64, longest=64)


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return build(TINY, texts=TEXTS, seed=3).eval()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "a.png"
    Image.new("RGB", (70, 50), (200, 30, 30)).save(path)
    return path


def test_convnext_is_transformers_own_with_other_names() -> None:
    widths, depths = (8, 12, 16, 24), (1, 2, 1, 1)
    theirs = ConvNextModel(
        ConvNextConfig(hidden_sizes=list(widths), depths=list(depths), layer_scale_init_value=0.3)
    ).eval()
    ours = ConvNext(ConvNextShape(widths, depths)).eval()
    state = theirs.state_dict()
    renamed = {
        "stem.0": "embeddings.patch_embeddings",
        "stem.1": "embeddings.layernorm",
    }
    for stage in range(4):
        there, here = f"encoder.stages.{stage}", f"stages.{stage}"
        for part in (0, 1):
            renamed[f"{here}.downsample.{part}"] = f"{there}.downsampling_layer.{part}"
        for block in range(depths[stage]):
            a, b = f"{here}.blocks.{block}", f"{there}.layers.{block}"
            renamed |= {
                f"{a}.conv_dw": f"{b}.dwconv",
                f"{a}.norm": f"{b}.layernorm",
                f"{a}.mlp.fc1": f"{b}.pwconv1",
                f"{a}.mlp.fc2": f"{b}.pwconv2",
                f"{a}.gamma": f"{b}.layer_scale_parameter",
            }
    wanted = {}
    for name in ours.state_dict():
        stem, _, last = name.rpartition(".")
        wanted[name] = state[renamed[name] if name in renamed else f"{renamed[stem]}.{last}"]
    ours.load_state_dict(wanted)
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = theirs(picture, output_hidden_states=True).hidden_states[1:]
        for mine, their in zip(ours(picture), expected, strict=True):
            torch.testing.assert_close(mine, their, atol=1e-5, rtol=1e-4)


def test_the_published_pair_has_the_published_sizes() -> None:
    with torch.device("meta"):
        tower = build_tower("clip+convnext", 768)
    assert (tower.shape.size, tower.shape.channels, tower.shape.aux_channels) == (768, 1024, 2880)
    patches, aux = tower(torch.zeros(1, 3, 768, 768, device="meta"))
    assert tuple(patches.shape) == (1, 576, 1024)
    assert aux is not None
    assert tuple(aux.shape) == (1, 2880, 192, 192)
    count = sum(weight.numel() for weight in tower.parameters()) / 1e6
    assert count == pytest.approx(303.5 + 196.2, abs=1.0), "CLIP ViT-L/14 and ConvNeXt-L's trunk"


def test_a_file_of_openclip_gives_its_trunk(tmp_path: Path) -> None:
    inner = ConvNext(ConvNextShape((4, 4, 4, 4), (1, 1, 1, 1)))
    state = {f"visual.trunk.{name}": weight for name, weight in inner.state_dict().items()}
    torch.save(state | {"logit_scale": torch.ones(())}, tmp_path / "clip.bin")
    inner.load_state_dict(openclip_trunk(tmp_path / "clip.bin"))
    torch.save({"other": torch.ones(1)}, tmp_path / "other.bin")
    with pytest.raises(DataError, match="has none among 1"):
        openclip_trunk(tmp_path / "other.bin")


def test_a_saved_model_answers_as_before(
    model: VisionLanguageModel, picture: Path, tmp_path: Path
) -> None:
    model.save(tmp_path / "model", is_whole=True)
    again = load(tmp_path / "model").eval()
    asked = ["<image>\nwhat color is the star?", "<image>\na ring"]
    before = answer(model, asked, [picture, picture], most=6)
    assert answer(again, asked, [picture, picture], most=6) == before
    for name, weight in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name


def test_an_answer_does_not_depend_on_its_neighbours(
    model: VisionLanguageModel, picture: Path
) -> None:
    short, long = "<image>\nring", "<image>\nwhat color is the large red star at the top left?"
    together = answer(model, [short, long], [picture, picture], most=6)
    alone = [answer(model, [question], [picture], most=6)[0] for question in (short, long)]
    assert together == alone


def test_the_loss_is_what_all_positions_would_give(model: VisionLanguageModel) -> None:
    rows = [torch.tensor([2, -200, 10, 11, 12]), torch.tensor([2, -200, 9])]
    labels = [torch.tensor([-100, -100, -100, 11, 12]), torch.tensor([-100, -100, 9])]
    with torch.no_grad():
        images = model.see(*model.look(torch.rand(2, 3, 64, 64)))
        given = model.spliced(rows, labels, images)
        loss = model(given)
        out = model.language(
            inputs_embeds=given.embeddings, attention_mask=given.attention.long()
        ).logits
    whole = torch.nn.functional.cross_entropy(
        out[:, :-1].flatten(0, 1), given.labels[:, 1:].flatten(), ignore_index=-100
    )
    assert float(loss) == pytest.approx(float(whole), rel=1e-5)


def test_mgm_s_projector_file_is_read_and_written(
    model: VisionLanguageModel, tmp_path: Path
) -> None:
    write_mm_projector(tmp_path / "mm_projector.bin", model)
    names = torch.load(tmp_path / "mm_projector.bin", weights_only=True)
    assert {name.split(".")[1] for name in names} == {
        "mm_projector", "vlm_uni_query_projector", "vlm_uni_aux_projector",
        "vlm_uni_val_projector",
    }  # fmt: skip
    found = read_tokens(tmp_path / "mm_projector.bin", model.tokens)
    assert all(torch.equal(found[n], w) for n, w in model.tokens.state_dict().items())
    names["model.mm_projector.0.weight"] = torch.full_like(
        names["model.mm_projector.0.weight"], float("nan")
    )
    torch.save(names, tmp_path / "mm_projector.bin")
    with pytest.raises(DataError, match=r"mm_projector\.0\.weight .* holds NaN"):
        read_tokens(tmp_path / "mm_projector.bin", model.tokens)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a model's folder holds model\.json"):
        load(tmp_path)


def test_words_of_the_tiny_tokenizer_come_back_as_they_were() -> None:
    tokenizer = tiny_tokenizer(TEXTS)
    ids = [token.id for token in tokenizer.tokens("a large red ring at the top left")]
    assert tokenizer.text(ids) == "a large red ring at the top left"
    assert max(tokenizer.inner.get_vocab().values()) < tokenizer.size


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("tiny", "gemma"),
        ("google/gemma-2b-it", "gemma"),
        ("smollm2-135m", "chatml"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "chatml"),
        ("lmsys/vicuna-7b-v1.5", "vicuna"),
    ],
)
def test_a_language_model_s_name_says_how_its_turns_are_written(name: str, template: str) -> None:
    assert template_of(name).name == template


def test_a_model_of_the_hub_that_cannot_be_had_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from fovea.vlm.model.language import load_tokenizer

    with pytest.raises(BackendError, match="could not be had"):
        load_tokenizer(str(tmp_path / "nowhere"))
