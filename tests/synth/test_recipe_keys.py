"""Every key of a data-juicer recipe: a setting, met in any case, or refused by a sentence."""

import json
from pathlib import Path

import pytest

from fovea.errors import ConfigError, DataError
from fovea.runs.stage import Context
from fovea.synth.needs import Needs, memory_of
from fovea.synth.settings.analyze import AnalyzeConfig
from fovea.synth.settings.clean import CleanConfig
from fovea.synth.settings.dialect import IDLE, REFUSED, SISTERS
from fovea.synth.source import shares

KEYS = {
    "project_name": "demo", "dataset_path": "x.jsonl", "dataset": {"configs": [{"path": "x"}]},
    "generated_dataset_config": None, "validators": [], "export_path": "./out/x.jsonl",
    "export_type": "jsonl", "export_shard_size": 0, "export_in_parallel": False,
    "keep_stats_in_res_ds": False, "keep_hashes_in_res_ds": False, "np": 4,
    "auto_op_parallelism": True, "text_keys": "text", "image_key": "images",
    "audio_key": "audios", "video_key": "videos", "image_bytes_key": "image_bytes",
    "image_special_token": "<image>", "audio_special_token": "<a>", "video_special_token": "<v>",
    "eoc_special_token": "<eoc>", "suffixes": [], "load_dataset_kwargs": {},
    "load_jsonl_lenient": False, "skip_op_error": True, "turbo": False, "use_cache": True,
    "ds_cache_dir": None, "cache_compress": None, "use_checkpoint": False, "temp_dir": None,
    "open_tracer": False, "op_list_to_trace": [], "trace_num": 10, "trace_keys": [],
    "open_monitor": False, "op_fusion": False, "fusion_strategy": "probe",
    "adaptive_batch_size": False, "executor_type": "default", "ray_address": "auto",
    "partition": {"mode": "auto"}, "checkpoint": {"enabled": True}, "percentiles": [],
    "export_original_dataset": False, "save_stats_in_one_file": False, "work_dir": None,
    "job_id": None, "resume": None, "event_log_dir": None, "custom_operator_paths": [],
    "strict_preflight": True, "encrypt_before_export": False, "decrypt_after_reading": False,
    "encryption_key_path": None, "process": [],
}  # fmt: skip
"""The table of data-juicer's top-level keys with its defaults."""


@pytest.mark.parametrize("stage", [CleanConfig, AnalyzeConfig])
@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_data_juicer_is_read(name: str, stage: type) -> None:
    given = {"dataset_path": "x.jsonl"} | {name: KEYS[name]}
    if name == "dataset":
        del given["dataset_path"]
    found = stage(**given)
    told = {*stage.model_fields, *found.ignored, *REFUSED, "dataset"}
    assert name in told, "it is neither a setting, nor told, nor refused"


def test_keys_that_say_how_have_a_reason() -> None:
    assert all(len(said) > 10 for said in {**IDLE, **SISTERS}.values())
    assert not set(IDLE) & {*CleanConfig.model_fields, *AnalyzeConfig.model_fields, *REFUSED}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_done_is_refused_by_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is not done here: "):
        CleanConfig(dataset_path="x.jsonl", **{name: "something"})


def test_reasons_are_said_once(cleaning, captions: Path) -> None:
    cleaning(captions, [{"text_length_filter": {"num_proc": 2}}], use_cache=True, turbo=True,
             use_checkpoint=True, **{"custom-operator-paths": []})  # fmt: skip
    (said,) = [note for note in cleaning.notes if note.startswith("without effect here")]
    assert "use_cache, use_checkpoint (finished parts are always kept" in said
    assert any("num_proc (operators are fused" in note for note in cleaning.notes)


@pytest.mark.parametrize("name", ["stats_export_path", "index_key", "runtime_env"])
def test_parameters_of_all_operators_that_cannot_be_met_are_refused(
    name: str, cleaning, captions: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"text_length_filter\.{name}: is not done here: "):
        cleaning(captions, [{"text_length_filter": {name: "x"}}])
    assert cleaning(captions, [{"text_length_filter": {name: None}}]).ids


def test_one_recipe_is_given_to_both_stages(captions: Path) -> None:
    recipe = {"dataset_path": captions, "export_path": "x.jsonl", "percentiles": [0.5]}
    assert CleanConfig(**recipe).ignored == ["percentiles"]
    assert AnalyzeConfig(**recipe).ignored == ["export_path"]


def test_sources_are_listed_with_weights(captions: Path) -> None:
    other = {"type": "local", "path": "b.jsonl", "weight": 3}
    listed = {"configs": [{"path": str(captions)}, other], "max_sample_num": 7}
    found = CleanConfig(dataset=listed)
    assert [str(path) for path in found.dataset_path] == [str(captions), "b.jsonl"]
    assert (found.weights, found.max_sample_num) == ([1.0, 3.0], 7)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ({"configs": []}, "must have configs"),
        ({"config": [{"path": "x"}]}, "must have configs"),
        ({"configs": [{"weight": 1}]}, r"configs\[0\] has no path"),
        ({"configs": [{"path": "x", "type": "huggingface"}]}, "only local files are read"),
        ({"configs": [{"path": "x", "split": "train"}]}, "has split, which is not known"),
    ],
)
def test_sources_that_are_not_local_files_are_refused(listed: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CleanConfig(dataset=listed)


def test_a_mixture_may_have_names_with_blanks(tmp_path: Path) -> None:
    found = CleanConfig(dataset_path=f"0.5 '{tmp_path}/a b.jsonl' {tmp_path}/c.jsonl")
    assert [path.name for path in found.dataset_path] == ["a b.jsonl", "c.jsonl"]
    assert found.weights == [0.5, 1.0]


def test_weights_above_one_are_relative() -> None:
    assert shares([100, 100], [0.5, 1.0], 0) == [50, 100]
    assert shares([100, 90], [2.0, 6.0], 0) == [33, 90]
    assert shares([100, 100], [1.0, 3.0], 40) == [10, 30]


def test_files_of_several_folders_keep_their_pictures(cleaning, captions: Path, tmp_path) -> None:
    other = tmp_path / "moved"
    other.mkdir()
    (tmp_path / "images").rename(other / "images")
    rows = captions.read_text().replace('"id": "r', '"id": "s')
    (other / "rows.jsonl").write_text(rows)
    first = tmp_path / "first"
    first.mkdir()
    (first / "rows.jsonl").write_text('{"id": "a", "text": "no picture", "images": []}\n')
    given = [first / "rows.jsonl", other / "rows.jsonl"]
    done = cleaning(given, [{"image_shape_filter": None}], name="first")
    assert len(done.ids) == 41
    assert done.rows()[1]["images"] == ["../moved/images/000.png"]
    again = cleaning(done.folder / "dataset", [{"image_shape_filter": None}], name="again")
    assert again.rows() == done.rows()
    drawn = cleaning(given, [{"image_size_filter": None}], name="drawn", max_sample_num=9)
    assert not drawn.errors


def test_the_first_of_several_text_keys_counts(cleaning, captions: Path) -> None:
    captions.write_text(captions.read_text().replace('"text"', '"caption"'))
    done = cleaning(captions, [{"words_num_filter": {"min_num": 41}}],
                    text_keys=["caption", "text"])  # fmt: skip
    assert done.ids == ["r038", "r039"]


def test_validators_put_rows_into_the_ledger(cleaning, captions: Path) -> None:
    rows = [json.loads(line) for line in captions.read_text().splitlines()]
    rows[3]["id"], rows[5]["score"] = 3, "high"
    captions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = cleaning(captions, [], validators=[
        {"type": "required_fields", "required_fields": ["id"],
         "field_types": {"id": "str", "score": "float"}}
    ])  # fmt: skip
    assert len(done.errors) == 2
    assert "'id' must be of type str; found 3" in done.errors[0]["message"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [{"role": "user", "content": "a"}]}, ""),
        ({"messages": [{"role": "guest", "content": "a"}]}, "has the role 'guest'"),
        ({"messages": [{"role": "user"}]}, "has no content"),
        ({"messages": []}, "has 0 messages"),
        ({"text": "a"}, "'messages' must be a list"),
    ],
)
def test_conversations_of_swift_are_checked(row: dict, said: str, cleaning, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = {"messages": [{"role": "assistant", "content": "b"}]}
    path.write_text(json.dumps(row) + "\n" + json.dumps(good) + "\n")
    done = cleaning(path, [], validators=[{"type": "swift_messages"}])
    assert [said in e["message"] for e in done.errors] == ([True] if said else [])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"instruction": "", "query": "q", "response": "r", "history": [["a", "b"]]}, ""),
        ({"instruction": "", "query": "q"}, "'response' must be text"),
        ({"instruction": "", "query": "q", "response": "r", "system": 1}, "'system' must be text"),
        ({"instruction": "", "query": "q", "response": "r", "history": [["a"]]}, "turn 1"),
    ],
)
def test_conversations_of_data_juicer_are_checked(
    row: dict, said: str, cleaning, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    good = {"instruction": "", "query": "q", "response": "r"}
    path.write_text(json.dumps(row) + "\n" + json.dumps(good) + "\n")
    done = cleaning(path, [], validators=[{"type": "dj_conversation", "max_turns": 3}])
    assert [said in e["message"] for e in done.errors] == ([True] if said else [])


def test_an_unknown_validator_is_refused_before_anything_is_read(cleaning, captions: Path) -> None:
    with pytest.raises(ConfigError, match=r"validators knows no type 'code'\. It knows: dj"):
        cleaning(captions, [], validators=[{"type": "code"}])


def test_needs_bound_the_processes() -> None:
    few = Needs.of([{"num_cpus": 2}, {"memory": "1GB"}, {"mem_required": "2GB", "num_gpus": 0.5}])
    assert (few.cpus, few.gpus, few.memory_bytes) == (2.0, 0.5, 3 * 1024**3)
    assert Needs(cpus=1e6).processes(8) == 1
    assert Needs(memory_bytes=2**60).processes(8) == 1
    assert Needs.of([{"num_cpus": -1, "num_gpus": None}]) == Needs()
    assert memory_of(16) == memory_of("16GB")
    with pytest.raises(ConfigError, match="must be a size such as"):
        memory_of("much")


def test_the_monitor_tells_what_it_took(cleaning, captions: Path) -> None:
    done = cleaning(captions, [{"words_num_filter": None}], open_monitor=True, project_name="demo")
    told = json.loads((done.folder / "monitor/monitor.json").read_text())
    (operator,) = told["operators"]
    assert (operator["operator"], operator["in"]) == ("01.words_num_filter", 40)
    assert operator["time"] > 0
    assert told["resource_analysis"]["Used mem."]["max"] > 10
    assert "words_num_filter" in (done.folder / "monitor/monitor.html").read_text()
    assert done.report["project"] == "demo"


def test_auto_measures_everything_cheap_of_some_rows(cleaning, captions: Path) -> None:
    from fovea.synth.analyze import analyze
    from fovea.synth.stages import ANALYZE

    recipe = [{"words_num_filter": {"min_num": 3}}]
    config = AnalyzeConfig(dataset_path=captions, process=recipe, np=1, auto=True, auto_num=12)
    context = Context.local(ANALYZE, config, cleaning.folder / "auto")
    scores = analyze(config, context)
    assert scores["rows"] == 12
    assert scores["measurements"] > 10


class TestEncryption:
    """Files are opened and closed by a Fernet key."""

    @pytest.fixture
    def key(self, tmp_path: Path) -> Path:
        from cryptography.fernet import Fernet

        path = tmp_path / "key"
        path.write_bytes(Fernet.generate_key() + b"\n")
        return path

    def test_what_is_written_opens_with_the_key_alone(
        self, key: Path, cleaning, captions: Path, tmp_path: Path
    ) -> None:
        process = [{"words_num_filter": {"min_num": 5}}]
        target = tmp_path / "out" / "secret.jsonl"
        done = cleaning(captions, process, encrypt_before_export=True, name="closed",
                        encryption_key_path=str(key), export_path=str(target))  # fmt: skip
        plain = cleaning(captions, process, name="plain")
        written = [p for p in cleaning.folder.joinpath("closed").rglob("*") if p.is_file()]
        assert not any(b"word3 word4" in p.read_bytes() for p in [*written, target])
        assert done.scores == plain.scores
        opened = cleaning(target, [], decrypt_after_reading=True, name="opened",
                          encryption_key_path=str(key), image_root=str(tmp_path))  # fmt: skip
        assert opened.rows() == plain.rows()
        assert not (cleaning.folder / "opened" / "read").exists()

    def test_the_key_may_stand_in_the_environment(
        self, key: Path, cleaning, captions: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(ConfigError, match="encryption needs a key"):
            cleaning(captions, [], encrypt_before_export=True)
        monkeypatch.setenv("DJ_ENCRYPTION_KEY", key.read_text().strip())
        done = cleaning(captions, [], encrypt_before_export=True)
        assert (done.folder / "dataset/res.jsonl").read_bytes().startswith(b"gAAAA")

    def test_a_wrong_key_is_told(self, key: Path, cleaning, captions: Path, tmp_path) -> None:
        with pytest.raises(DataError, match="does not open with this key"):
            cleaning(captions, [], decrypt_after_reading=True, encryption_key_path=str(key))
        (tmp_path / "none").write_text("secret")
        with pytest.raises(ConfigError, match="is none of Fernet's"):
            cleaning(captions, [], decrypt_after_reading=True,
                     encryption_key_path=str(tmp_path / "none"))  # fmt: skip

    def test_secrets_are_not_left_in_shared_folders(self, key: Path, cleaning, captions) -> None:
        with pytest.raises(ConfigError, match="ds_cache_dir keeps rows as they are"):
            cleaning(captions, [], encrypt_before_export=True, encryption_key_path=str(key),
                     ds_cache_dir=str(cleaning.folder / "cache"))  # fmt: skip
