"""A data set through operators: what comes out, what does not and why, whatever happens between."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fovea.errors import ConfigError, DataError

LENGTHS = [
    {"words_num_filter": {"min_num": 5, "max_num": 20}},
    {"text_length_filter": {"min_len": 60}},
]


def test_rows_that_are_kept_are_the_bytes_that_were_given(cleaning, captions: Path) -> None:
    done = cleaning(captions, LENGTHS)
    given = captions.read_text().splitlines()
    kept = (done.folder / "dataset/res.jsonl").read_text().splitlines()
    assert 0 < len(kept) < len(given)
    assert [line for line in given if line in kept] == kept


def test_each_kept_row_has_a_line_of_statistics(cleaning, captions: Path) -> None:
    done = cleaning(captions, [{"alphanumeric_filter": None}, *LENGTHS])
    rows, stats = done.rows(), done.rows("dataset/res_stats.jsonl")
    assert len(rows) == len(stats) == done.scores["kept"]
    for row, line in zip(rows, stats, strict=True):
        found = line["__dj__stats__"]
        assert found["text_len"] == len(row["text"])
        assert len(str(found["alnum_ratio"])) <= 12
        assert list(found) == ["alnum_ratio", "num_words", "text_len"]


def test_the_books_balance(cleaning, captions: Path) -> None:
    report = cleaning(captions, LENGTHS).report
    lost = sum(step["dropped"] + step["errors"] for step in report["operators"])
    assert report["read"] == report["kept"] + lost + report["unread"] == 40
    first, second = report["operators"]
    assert first["in"] == 40
    assert first["out"] == second["in"]
    assert second["out"] == report["kept"]


@pytest.mark.parametrize("rows", [3, 7, 100])
def test_the_result_does_not_depend_on_how_the_work_is_cut(
    rows: int, cleaning, captions: Path
) -> None:
    process = [
        *LENGTHS,
        {"image_deduplicator": None},
        {"replace_content_mapper": {"pattern": "word1", "repl": "one"}},
        {"random_selector": {"select_ratio": 0.5}},
        {"image_shape_filter": {"max_width": 34}},
    ]
    plain = cleaning(captions, process, name="plain", open_tracer=True)
    cut = cleaning(captions, process, name=f"cut{rows}", shard_rows=rows, open_tracer=True)
    assert plain.content() == cut.content()


def test_the_result_does_not_depend_on_the_processes(cleaning, captions: Path) -> None:
    from fovea.runs.stage import Context
    from fovea.synth.clean import clean
    from fovea.synth.settings.clean import CleanConfig
    from fovea.synth.stages import CLEAN

    process = [*LENGTHS, {"document_minhash_deduplicator": None}]
    alone = cleaning(captions, process, shard_rows=5)
    config = CleanConfig(dataset_path=captions, process=process, np=2, shard_rows=5)
    context = Context.local(CLEAN, config, cleaning.folder / "two")
    clean(config, context)
    both = {p.name: p.read_bytes() for p in context.out.rglob("*") if p.is_file()}
    assert both == {Path(name).name: raw for name, raw in alone.content().items()}


def test_finished_parts_are_taken_up(cleaning, captions: Path) -> None:
    cache = {"ds_cache_dir": str(cleaning.folder / "cache"), "shard_rows": 10}
    first = cleaning(captions, LENGTHS, name="first", **cache)
    made = {p: p.stat().st_mtime_ns for p in (cleaning.folder / "cache").rglob("rows.jsonl")}
    again = cleaning(captions, LENGTHS, name="again", **cache)
    assert first.content() == again.content()
    assert made == {
        p: p.stat().st_mtime_ns for p in (cleaning.folder / "cache").rglob("rows.jsonl")
    }
    cleaning(captions, [*LENGTHS, {"image_size_filter": None}], name="more", **cache)
    assert len(list((cleaning.folder / "cache").rglob("rows.jsonl"))) == 2 * len(made)


def test_another_limit_is_another_work(cleaning, captions: Path) -> None:
    cache = {"ds_cache_dir": str(cleaning.folder / "cache")}
    few = cleaning(captions, [{"words_num_filter": {"min_num": 30}}], name="few", **cache)
    many = cleaning(captions, [{"words_num_filter": {"min_num": 3}}], name="many", **cache)
    assert few.scores["kept"] < many.scores["kept"]


def test_places_in_the_distribution_are_limits(cleaning, captions: Path) -> None:
    done = cleaning(captions, [{"words_num_filter": {"min_num": "q0.25", "max_num": "q0.75"}}])
    assert 18 <= len(done.ids) <= 22
    (limits,) = done.report["limits"].values()
    assert limits["min_num"] < limits["max_num"]
    assert done.report["operators"][0]["dropped"] == 40 - len(done.ids)


def test_bytes_of_images_have_places_too(cleaning, captions: Path) -> None:
    done = cleaning(captions, [{"image_size_filter": {"min_size": "q0.5", "max_size": "1MB"}}])
    assert 18 <= len(done.ids) < 40
    (limits,) = done.report["limits"].values()
    assert limits["min_size"] > 50
    assert "max_size" in limits or "min_size" in limits


def test_a_quantile_counts_the_rows_that_reach_it(cleaning, captions: Path) -> None:
    process = [{"words_num_filter": {"min_num": 21}}, {"text_length_filter": {"min_len": "q0.5"}}]
    assert len(cleaning(captions, process).ids) == 11


def test_the_best_of_a_group_is_kept(cleaning, tmp_path: Path) -> None:
    rows = [
        {"id": "low", "text": "the same words", "score": 1},
        {"id": "other", "text": "something else", "score": 0},
        {"id": "high", "text": "the same words", "score": 5},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first = cleaning(path, [{"document_deduplicator": None}], name="first")
    best = cleaning(path, [{"document_deduplicator": {"keep_best_by": "score"}}], name="best")
    assert (first.ids, best.ids) == (["low", "other"], ["other", "high"])
    (cluster,) = best.rows("duplicates.jsonl")
    assert [c["id"] for c in cluster["kept"]] == ["high"]
    assert [c["id"] for c in cluster["dropped"]] == ["low"]


def test_short_captions_are_not_one_group(cleaning, tmp_path: Path) -> None:
    words = ["a red car", "a blue bus", "two dogs", "one cat", "a red car"]
    rows = [{"id": str(n), "text": text} for n, text in enumerate(words)]
    path = tmp_path / "short.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("document_minhash_deduplicator", "document_simhash_deduplicator"):
        ours = cleaning(path, [{name: None}], name=name)
        odd = cleaning(path, [{name: None}], name=f"odd-{name}", compat=["short_texts"])
        assert ours.ids == ["0", "1", "2", "3"]
        assert odd.ids == ["0"]


def test_selectors_that_order_do(cleaning, captions: Path) -> None:
    process = [
        {"words_num_filter": {"min_num": 1}},
        {"topk_specified_field_selector": {"field_key": "__dj__stats__.num_words", "topk": 3}},
        {"text_length_filter": {"min_len": 1}},
    ]
    done = cleaning(captions, process, shard_rows=7)
    assert done.ids == ["r039", "r038", "r037"]
    assert [s["__dj__stats__"]["num_words"] for s in done.rows("dataset/res_stats.jsonl")] == [
        42, 41, 40,
    ]  # fmt: skip


def test_rows_repeated_to_a_cap_are_counted(cleaning, captions: Path) -> None:
    process = [{"head_selector": {"num": 3}}, {"repeat_selector": {"target_num": 8}}]
    done = cleaning(captions, process)
    assert len(done.ids) == 8
    assert set(done.ids) == {"r000", "r001", "r002"}
    assert done.report["operators"][1]["made"] == 5


def test_statistics_are_measured_anew_once_the_text_changed(cleaning, captions: Path) -> None:
    process = [
        {"text_length_filter": {"min_len": 1}},
        {"replace_content_mapper": {"pattern": "word", "repl": "w"}},
        {"text_length_filter": {"min_len": 1}},
    ]
    ours = cleaning(captions, process)
    odd = cleaning(captions, process, name="odd", compat=["stale_statistics"])

    def lengths(done) -> list[int]:
        return [s["__dj__stats__"]["text_len"] for s in done.rows("dataset/res_stats.jsonl")]

    assert lengths(ours) == [len(row["text"]) for row in ours.rows()]
    assert lengths(odd)[0] == lengths(ours)[0] + 3


def test_examples_are_the_first_ones_whatever_the_parts(cleaning, captions: Path) -> None:
    process = [*LENGTHS, {"replace_content_mapper": {"pattern": "word1", "repl": "one"}}]
    done = cleaning(
        captions, process, open_tracer=True, trace_num=3, trace_keys=["id"], shard_rows=4
    )
    dropped = done.rows("trace/sample_trace-01-words_num_filter.jsonl")
    assert [row["id"] for row in dropped] == ["r000", "r001", "r018"]
    changed = done.rows("trace/sample_trace-03-replace_content_mapper.jsonl")
    assert len(changed) == 3
    assert "one" in changed[0]["processed_text"]


@pytest.mark.parametrize("name", ["given.jsonl.gz", "given.json", "given.parquet"])
def test_every_form_gives_the_same_rows(name: str, cleaning, captions: Path) -> None:
    rows = [json.loads(line) for line in captions.read_text().splitlines()]
    path = captions.parent / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(captions.read_bytes()))
    elif name.endswith(".json"):
        path.write_text(json.dumps(rows, indent=1))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=9)
    process = [*LENGTHS, {"image_shape_filter": {"max_width": 30}}]
    assert cleaning(path, process, name="other").rows() == cleaning(captions, process).rows()


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_results_are_written_in_every_form_and_read_back(
    form: str, cleaning, captions: Path
) -> None:
    first = cleaning(captions, LENGTHS, name="plain")
    written = cleaning(captions, LENGTHS, name="written", export_type=form, export_shard_size=900)
    files = sorted(p.name for p in (written.folder / "dataset").glob(f"res-*.{form}"))
    assert len(files) > 1
    assert files[0] == f"res-00-of-0{len(files)}.{form}"
    again = cleaning(written.folder / "dataset", [{"image_shape_filter": None}], name="again")
    assert again.rows() == first.rows()
    assert not again.errors, "images are found though the data set moved"


def test_the_result_goes_where_the_recipe_says(cleaning, captions: Path, tmp_path: Path) -> None:
    target = tmp_path / "outputs" / "clean" / "captions.jsonl"
    done = cleaning(captions, LENGTHS, export_path=str(target))
    assert target.read_bytes() == (done.folder / "dataset/res.jsonl").read_bytes()
    stats = target.with_name("captions_stats.jsonl")
    assert len(stats.read_text().splitlines()) == len(done.ids)


def test_images_may_be_exported_by_whole_paths(cleaning, captions: Path) -> None:
    done = cleaning(captions, LENGTHS, export_paths="absolute")
    assert all(Path(row["images"][0]).is_file() for row in done.rows())
    odd = cleaning(captions, LENGTHS, name="odd", compat=["absolute_paths"])
    assert odd.rows() == done.rows()


def test_mixtures_take_parts_of_each_file(cleaning, captions: Path) -> None:
    other = captions.with_name("other.jsonl")
    other.write_text(captions.read_text().replace('"id": "r', '"id": "s'))
    done = cleaning(f"0.5 {captions} 0.25 {other}", [])
    assert sum(name.startswith("r") for name in done.ids) == 20
    assert sum(name.startswith("s") for name in done.ids) == 10


def test_a_largest_number_of_rows_is_shared_out_by_weight(cleaning, captions: Path) -> None:
    other = captions.with_name("other.jsonl")
    other.write_text(captions.read_text().replace('"id": "r', '"id": "s'))
    done = cleaning([captions, other], [], weights=[3.0, 1.0], max_sample_num=16)
    assert sum(name.startswith("r") for name in done.ids) == 12
    assert len(done.ids) == len(set(done.ids)) == 16


def test_keys_of_data_juicer_without_effect_are_said_once(cleaning, captions: Path) -> None:
    cleaning(captions, LENGTHS, project_name="demo", use_cache=False, open_monitor=True)
    assert sum("without effect" in note for note in cleaning.notes) == 1
    assert any("use_cache" in note for note in cleaning.notes)


def test_wrong_operators_are_all_named_with_what_was_meant(cleaning, captions: Path) -> None:
    process = [
        {"text_lenght_filter": None},
        {"words_num_filter": {"min_nums": 3}},
        {"image_size_filter": {"max_size": "many"}},
        {"image_shape_filter": {"max_width": "wide"}},
    ]
    with pytest.raises(ConfigError) as caught:
        cleaning(captions, process)
    said = str(caught.value)
    assert said.startswith("4 settings of operators are not valid")
    assert "Did you mean 'text_length_filter'?" in said
    assert "min_nums: unknown parameter; did you mean min_num?" in said
    assert "must be a size such as 10KB" in said
    assert "process[3] image_shape_filter.max_width" in said


def test_an_operator_of_ones_own_is_registered(cleaning, captions: Path, tmp_path: Path) -> None:
    source = tmp_path / "own.py"
    source.write_text(
        "from fovea.synth.operator import TextMapper\n"
        "from fovea.synth.operators import register\n"
        "@register('shout_mapper')\n"
        "class Shout(TextMapper):\n"
        "    '''Says it louder.'''\n"
        "    def change(self, text):\n"
        "        return text.upper()\n"
    )
    done = cleaning(captions, [{"shout_mapper": None}], custom_operator_paths=[str(source)])
    assert "WORD0" in done.rows()[0]["text"]


def test_asked_to_stop_it_keeps_what_is_done_and_goes_on(cleaning, captions: Path) -> None:
    from fovea.errors import StoppedError
    from fovea.runs.stage import Context
    from fovea.synth.clean import clean
    from fovea.synth.settings.clean import CleanConfig
    from fovea.synth.stages import CLEAN

    whole = cleaning(captions, LENGTHS, name="whole", shard_rows=5)
    config = CleanConfig(dataset_path=captions, process=LENGTHS, np=1, shard_rows=5)
    asked = iter([False, False, False, True])
    folder = cleaning.folder / "stopped"
    stopping = Context.local(CLEAN, config, folder, asked_to_stop=lambda: next(asked, True))
    with pytest.raises(StoppedError):
        clean(config, stopping)
    assert len(list((folder / "parts").iterdir())) == 3
    context = Context.local(CLEAN, config, folder)
    clean(config, context)
    made = {p.name: p.read_bytes() for p in context.out.rglob("*") if p.is_file()}
    assert made == {Path(name).name: raw for name, raw in whole.content().items()}


def test_stopping_at_the_first_failure_is_possible(cleaning, captions: Path) -> None:
    (captions.parent / "images" / "007.png").unlink()
    with pytest.raises(DataError, match=r"007\.png does not exist"):
        cleaning(captions, [{"image_shape_filter": None}], skip_op_error=False)


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_an_unbroken_run(tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": " ".join(f"w{(n * k) % 97}" for k in range(n % 60 + 1))}
            for n in range(6000)]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"dataset_path: {path}\nnp: 2\nshard_rows: 300\nprocess:\n"
        "  - words_num_filter: {min_num: 3}\n  - document_minhash_deduplicator:\n"
        "  - character_repetition_filter:\n  - topk_specified_field_selector:"
        " {field_key: __dj__stats__.num_words, topk: 900}\n"
    )

    def call(name: str) -> list[str]:
        words = ["synth.clean", "--config", str(recipe), "--run", str(tmp_path / name)]
        return [sys.executable, "-m", "fovea", *words, "--no-reuse"]

    subprocess.run(call("whole"), check=True, capture_output=True)
    kills = 0
    for wait_s in (0.9, 1.4, 1.9, 2.4, 2.9, 60.0):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(call("killed"), start_new_session=True, **quiet) as process:
            until = time.monotonic() + wait_s
            while process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
    assert kills, "it was never killed on the way"

    def made(name: str) -> dict[str, bytes]:
        (out,) = (tmp_path / name).glob("stages/*/out")
        return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}

    assert made("killed") == made("whole")
