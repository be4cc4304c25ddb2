"""Operators that no reference answers, and the page that lists them all."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fovea.errors import ConfigError, DataError
from fovea.runs.stage import Context
from fovea.synth.batch import Batch
from fovea.synth.dedup.groups import near_pairs, roots_of
from fovea.synth.export import export
from fovea.synth.manual import page
from fovea.synth.operators import names, operator_class
from fovea.synth.plan import operators_of
from fovea.synth.sample import Fields
from fovea.synth.settings.export import ExportConfig
from fovea.synth.stages import EXPORT

ROOT = Path(__file__).parents[2]
PAGE = page()


def mapped(name: str, text: str, compat=(), **params) -> str:
    found = operator_class(name)(**params)
    found.bind(Fields(), frozenset(compat), seed=0, place=0)
    found.load()
    batch = found.map(Batch([{"text": text}], np.arange(1), Fields()))
    return batch.rows[0]["text"]


def selected(name: str, values: list, **params) -> list[int]:
    found = operator_class(name)(**params)
    return found.select(values, len(values), np.random.default_rng(0)).tolist()


def test_the_page_of_operators_is_that_of_the_operators() -> None:
    assert (ROOT / "docs" / "synth-operators.md").read_text() == PAGE


@pytest.mark.parametrize("name", names())
def test_every_operator_says_what_it_does_and_what_it_takes(name: str) -> None:
    model = operator_class(name)
    assert model.__doc__
    assert all(info.description for info in model.model_fields.values())
    assert f"### `{name}`" in PAGE


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("remove_specific_chars_mapper", {"chars_to_remove": "aegim"}),
        ("remove_non_chinese_character_mapper", {"keep_alphabet": False}),
        ("remove_long_words_mapper", {"max_len": 5}),
        ("remove_words_with_incorrect_substrings_mapper", {"substrings": ["dj", "very"]}),
        ("replace_content_mapper", {"pattern": "[a-z]", "repl": ""}),
        ("clean_html_mapper", {}),
    ],
)
def test_special_tokens_survive_what_deletes_characters(name: str, params: dict) -> None:
    text = "<__dj__image>\na very <b>longword</b> image <|__dj__eoc|>"
    found = mapped(name, text, **params)
    assert found.count("<__dj__image>") == found.count("<|__dj__eoc|>") == 1
    assert found != text


def test_tokens_are_text_when_asked_for() -> None:
    odd = mapped("remove_specific_chars_mapper", "<__dj__image> x", ["special_tokens"],
                 chars_to_remove="a")  # fmt: skip
    assert odd == "<__dj__imge> x"


def test_full_width_digits_and_ipv6_are_left_alone() -> None:
    assert mapped("punctuation_normalization_mapper", "１２") == "１２"
    address = "fe80:0000:0000:0000:0202:b3ff:fe1e:8329"
    assert mapped("clean_links_mapper", f"ip {address} end") == f"ip {address} end"
    assert mapped("clean_links_mapper", "see http://a.bc/d end") == "see  end"


def test_html_becomes_its_text() -> None:
    found = mapped("clean_html_mapper", "<__dj__image>\n<p>a <b>cat</b> &amp; dog</p>")
    assert found == "<__dj__image>\na cat & dog"


def test_chinese_is_converted() -> None:
    assert mapped("chinese_convert_mapper", "汉字 and text") == "漢字 and text"


def test_selectors_take_what_they_say() -> None:
    values = [3, None, [1, 9], 7, 2]
    key = {"field_key": "x"}
    assert selected("topk_specified_field_selector", values, topk=2, **key) == [3, 2]
    assert selected("topk_specified_field_selector", values, top_ratio=0.4, topk=4, **key) == [3, 2]
    smallest = {"topk": 2, "reverse": False}
    assert selected("topk_specified_field_selector", values, **smallest, **key) == [4, 0]
    band = {"lower_rank": 1, "upper_rank": 3}
    assert selected("range_specified_field_selector", values, **band, **key) == [2, 0]
    tags = ["a", "b", "a", "c", "a", "b"]
    assert selected("frequency_specified_field_selector", tags, topk=2, **key) == [0, 2, 4, 1, 5]
    assert selected("tags_specified_field_selector", tags, target_tags=["c", "b"], **key) == [
        1,
        3,
        5,
    ]
    assert len(selected("random_selector", values, select_ratio=0.6)) == 3
    assert selected("repeat_selector", values, target_num=12).count(0) in (2, 3)
    assert len(selected("repeat_selector", values, target_num=99, most_times=3)) == 15
    assert selected("head_selector", values, num=2, skip=1) == [1, 2]


def test_balance_takes_evenly_from_every_value() -> None:
    values = ["many"] * 90 + ["few"] * 4 + ["some"] * 20
    taken = [values[n] for n in selected("balanced_selector", values, select_num=30)]
    assert (taken.count("few"), taken.count("some"), taken.count("many")) == (4, 13, 13)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), st.integers(0, 6), st.data())
def test_near_pairs_are_all_pairs_within_the_distance(values: list, distance: int, data) -> None:
    for _ in range(len(values) // 2):
        source = data.draw(st.sampled_from(values))
        bits = data.draw(st.lists(st.integers(0, 63), max_size=7))
        values.append(source ^ sum({1 << bit for bit in bits}))
    hashes = np.asarray(values, np.uint64)
    roots = roots_of(len(hashes), near_pairs(hashes, distance))
    plain = [
        (np.array([a]), np.array([b]))
        for a in range(len(values))
        for b in range(a)
        if (values[a] ^ values[b]).bit_count() <= distance
    ]
    assert roots.tolist() == roots_of(len(hashes), plain).tolist()


def test_images_that_look_nearly_the_same_are_one_within_a_distance(cleaning, tmp_path) -> None:
    (tmp_path / "images").mkdir()
    base = Image.effect_noise((64, 64), 60).resize((256, 256), Image.Resampling.BICUBIC)
    base.save(tmp_path / "images/a.png")
    base.save(tmp_path / "images/b.jpg", quality=25)
    Image.effect_noise((256, 256), 90).save(tmp_path / "images/c.png")
    rows = [{"id": n, "text": "", "images": [f"images/{n}"]} for n in ("a.png", "b.jpg", "c.png")]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    process = [{"image_deduplicator": {"method": "dhash", "max_distance": 8}}]
    assert cleaning(path, process).ids == ["a.png", "c.png"]


def test_hashes_stay_in_the_rows_when_asked_for(cleaning, captions: Path) -> None:
    process = [{"document_deduplicator": None}]
    rows = cleaning(captions, process, keep_hashes_in_res_ds=True, shard_rows=9).rows()
    assert all(len(row["__dj__hash"]) == 32 for row in rows)
    assert "__dj__hash" not in cleaning(captions, process, name="plain").rows()[0]


def test_blurred_pictures_are_new_files_of_the_same_name_in_every_run(
    cleaning, captions: Path
) -> None:
    process = [{"image_blur_mapper": {"p": 0.5}}, {"image_shape_filter": None}]
    first = cleaning(captions, process, name="first", shard_rows=7)
    again = cleaning(captions, process, name="again", open_tracer=True)
    assert first.rows() == again.rows()
    changed = [row for row in first.rows() if "__dj_hash_#" in row["images"][0]]
    assert 8 < len(changed) < 32
    for row in changed:
        assert (captions.parent / row["images"][0]).is_file()
        assert row["__dj__source_file__"][0].startswith("images/")
    assert not first.errors
    assert again.rows("trace/sample_trace-01-image_blur_mapper.jsonl"), "image changes are traced"


def test_conditions_on_fields_keep_rows_and_call_nothing(cleaning, tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": "x" * n, "num": n, "meta": {"tag": "ab"[n % 2]}}
            for n in range(8)]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    condition = "1 < num <= 6 and meta.tag == 'a' and nothing not in ['x']"
    process = [{"general_field_filter": {"filter_condition": condition}}]
    assert cleaning(path, process).ids == ["2", "4", "6"]
    tags = [{"specified_field_filter": {"field_key": "meta.tag", "target_value": ["b"]}}]
    assert cleaning(path, tags, name="tags").ids == ["1", "3", "5", "7"]
    for bad in ("__import__('os')", "num ** 2 > 3", "lambda: 1"):
        with pytest.raises(ConfigError, match="may hold comparisons alone"):
            operators_of([{"general_field_filter": {"filter_condition": bad}}], {})


class Exporting:
    """Exports a data set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, data: Path, name: str = "export", **settings) -> Path:
        config = ExportConfig(dataset_path=data, **settings)
        context = Context.local(EXPORT, config, self.folder / name)
        self.scores = export(config, context)
        return context.out


@pytest.fixture
def exporting(tmp_path: Path) -> Exporting:
    return Exporting(tmp_path / "exports")


def test_captions_get_their_questions_back_and_lose_them_again(exporting) -> None:
    sample = ROOT / "src/fovea/samples/imagetext"
    out = exporting(
        sample / "captions.jsonl", original_llava_ds_path=sample / "llava.json",
        check_images="decodes",
    )  # fmt: skip
    made = json.loads((out / "llava.json").read_text())
    assert made == json.loads((sample / "llava.json").read_text())
    back = exporting(out / "llava.json", "back", to="dj", image_root=str(sample))
    given = (sample / "captions.jsonl").read_text().splitlines()
    found = (back / "dataset/res.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in found] == [json.loads(line) for line in given]


def test_a_row_that_would_spoil_training_stops_or_is_left_out(exporting, captions: Path) -> None:
    rows = [json.loads(line) for line in captions.read_text().splitlines()]
    rows[3]["text"] = "<__dj__image>\n <|__dj__eoc|>"
    rows[5]["images"] = ["images/nowhere.png"]
    captions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match="an answer is empty"):
        exporting(captions, question="What is it?")
    out = exporting(captions, "allowed", question="What is it?", allow=True)
    assert exporting.scores == {"read": 40, "written": 38, "left_out": 2}
    left = [json.loads(line) for line in (out / "left_out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in left] == ["r003", "r005"]


def test_the_cap_of_the_challenge_is_kept(exporting, captions: Path) -> None:
    out = exporting(captions, question="q", cap=10)
    assert len(json.loads((out / "llava.json").read_text())) == 10
    more = exporting(captions, "more", question="q", cap=90, fill="repeat")
    assert len(json.loads((more / "llava.json").read_text())) == 90


def test_tar_files_hold_picture_caption_and_row(exporting, captions: Path) -> None:
    out = exporting(captions, to="webdataset", shard_bytes=30_000)
    tars = sorted((out / "tars").glob("*.tar"))
    assert len(tars) > 1
    with tarfile.open(tars[0]) as file:
        members = file.getnames()
        assert members[:3] == ["000000000.png", "000000000.txt", "000000000.json"]
        text = file.extractfile("000000000.txt")
        assert text is not None
        assert text.read() == b"word0"
    again = exporting(captions, "again", to="webdataset", shard_bytes=30_000)
    assert [p.read_bytes() for p in sorted((again / "tars").glob("*.tar"))] == [
        p.read_bytes() for p in tars
    ]
