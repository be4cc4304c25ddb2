"""A data set and how it is read: the settings that every stage of the room has.

Their names are those of data-juicer's YAML, so that such a file is given by `--config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as _Path
from typing import Any

from pydantic import model_validator

from fovea.config import Config, Path, artifact, setting

WITHOUT_EFFECT = frozenset(
    [
        "project_name",
        "executor",
        "export_in_parallel",
        "auto_op_parallelism",
        "use_cache",
        "cache_compress",
        "use_checkpoint",
        "temp_dir",
        "open_monitor",
        "op_fusion",
        "fusion_strategy",
        "adaptive_batch_size",
        "ray_address",
        "partition",
        "checkpoint",
        "work_dir",
        "job_id",
        "resume",
        "event_log_dir",
        "strict_preflight",
        "turbo",
        "auto",
        "auto_num",
        "audio_key",
        "video_key",
        "encryption_key_path",
        "load_dataset_kwargs",
        "add_suffix",
        "percentiles",
        "export_original_dataset",
        "save_stats_in_one_file",
        "export_extra_args",
        "export_aws_credentials",
        "hpo_config",
        "data_probe_algo",
        "data_probe_ratio",
        "preserve_intermediate_data",
        "intermediate_storage",
        "partition_dir",
        "max_log_size_mb",
        "backup_count",
        "event_logging",
        "debug",
        "image_special_tokens",
        "seed",
        "auto_num",
        "backbone",
        "min_common_dep_num_to_combine",
        "conflict_resolve_strategy",
        "custom_config",
        "resource_optimization",
        "video_bytes_key",
        "audio_bytes_key",
        "read_options",
    ]
)
"""Keys of data-juicer that have no meaning here: it is always fused, cached and resumed."""
REFUSED = {
    "encrypt_before_export": "files are written as they are; encrypt them afterwards",
    "decrypt_after_reading": "files are read as they are; decrypt them before",
    "generated_dataset_config": "give the data set's files by dataset_path",
}


class DataConfig(Config):
    """A data set of data-juicer's form, and the operators that look at it."""

    dataset_path: tuple[Path, ...] = artifact(
        "samples", "jsonl, json or parquet, also .gz, or a folder of them; a list is one data set"
    )
    weights: list[float] = setting(
        [], "how much of each file is taken, by weights from 0 to 1; all of it where none is given"
    )
    max_sample_num: int = setting(0, "rows that are read at most, drawn by the seed; 0 reads all",
                                  ge=0)  # fmt: skip
    process: list[dict[str, Any] | str] = setting(
        [], "operators in order, `name: {parameter: value}` each", local_only=True
    )
    operators: dict[str, dict[str, Any]] = setting(
        {},
        "parameters laid over those in process, `operators.text_length_filter.min_len=20`",
        local_only=True,
    )
    model: Path | None = artifact(
        "vlm", "a trained model that operators ask: {model} in their parameters", optional=True
    )
    # Parameters of operators name files and modules, too: neither comes in over HTTP.
    np: int = setting(
        0, "worker processes; 0 takes as many as there are cores", ge=0, in_fingerprint=False
    )
    text_keys: list[str] = setting(["text"], "field of the text; of several the first")
    image_key: str = setting("images", "field of the list of images")
    image_bytes_key: str = setting("image_bytes", "field of images held in the row")
    image_root: str | None = setting(
        None, "folder that relative image paths start from; else the data set's", local_only=True
    )
    image_special_token: str = setting("<__dj__image>", "marks an image in the text")
    audio_special_token: str = setting("<__dj__audio>", "marks a sound in the text")
    video_special_token: str = setting("<__dj__video>", "marks a video in the text")
    eoc_special_token: str = setting("<|__dj__eoc|>", "ends a chunk of the text")
    suffixes: list[str] = setting([], "in a folder, read only files that end so, .jsonl")
    load_jsonl_lenient: bool = setting(
        True, "put lines that cannot be read into the ledger, instead of stopping"
    )
    skip_op_error: bool = setting(
        True, "put rows on which an operator fails into the ledger, instead of stopping"
    )
    validators: list[dict[str, Any]] = setting(
        [], "checks of each row: {type: required_fields, required_fields: [..], field_types: {..}}"
    )
    compat: list[str] = setting(
        [], "habits of data-juicer to bring back, by name, or [all]; docs/synth.md lists them"
    )
    most_pixels: int = setting(
        178_956_970, "larger pictures are not decoded: they go to the ledger", ge=1
    )
    custom_operator_paths: list[str] = setting(
        [], "Python files or packages that register operators", local_only=True
    )
    ds_cache_dir: str | None = setting(
        None, "folder of finished work that several runs share; else each keeps its own",
        local_only=True, in_fingerprint=False,
    )  # fmt: skip
    shard_rows: int = setting(
        0, "rows that are done, and kept when interrupted, together; 0 chooses by their cost",
        ge=0, in_fingerprint=False, advanced=True,
    )  # fmt: skip
    ignored: list[str] = setting(
        [], "keys of the YAML that have no effect here; filled in by itself",
        in_fingerprint=False, advanced=True,
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _from_data_juicer(cls, data: Any) -> Any:
        """Read what data-juicer's YAML says in words of its own."""
        if not isinstance(data, Mapping):
            return data
        given: dict[str, Any] = {str(name): value for name, value in data.items()}
        _refuse(given)
        idle = sorted((WITHOUT_EFFECT | set(REFUSED)) & set(given) - set(cls.model_fields))
        if idle:
            given["ignored"] = sorted({*given.get("ignored", ()), *idle})
        given = {name: value for name, value in given.items() if name not in idle}
        _listed(given)
        _place(given)
        return given

    @property
    def quirks(self) -> list[str]:
        """The habits that were asked for, by name."""
        return self.compat


def _refuse(given: Mapping[str, Any]) -> None:
    for name, instead in REFUSED.items():
        if given.get(name):
            raise ValueError(f"{name} is not done here: {instead}")


def _listed(given: dict[str, Any]) -> None:
    """One word stands for a list of one; nothing for none."""
    for name in ("text_keys", "suffixes", "validators", "process", "custom_operator_paths"):
        if name in given and given[name] is None:
            given[name] = []
        elif isinstance(given.get(name), str):
            given[name] = [given[name]]
    compat = given.get("compat")
    if isinstance(compat, bool):
        given["compat"] = ["all"] if compat else []


def _place(given: dict[str, Any]) -> None:
    """`dataset_path: 0.5 a.jsonl 0.5 b.jsonl`, and `dataset: {configs: [...]}`."""
    listed = given.pop("dataset", None)
    if isinstance(listed, Mapping):
        configs = [c for c in listed.get("configs") or () if isinstance(c, Mapping)]
        for config in configs:
            if config.get("type", "local") != "local":
                raise ValueError(
                    f"dataset.configs has type {config['type']}; only local files are read. Give"
                    " their path"
                )
        given["dataset_path"] = [str(config.get("path")) for config in configs]
        if any("weight" in config for config in configs):
            given["weights"] = [float(config.get("weight", 1.0)) for config in configs]
        if listed.get("max_sample_num"):
            given["max_sample_num"] = listed["max_sample_num"]
        return
    path = given.get("dataset_path")
    words = str(path).split() if isinstance(path, str | _Path) else []
    if len(words) > 1 and not _Path(str(path)).exists():
        weights, paths = _weighed(words)
        given["dataset_path"] = paths
        if weights:
            given["weights"] = weights


def _weighed(words: list[str]) -> tuple[list[float], list[str]]:
    weights: list[float] = []
    paths: list[str] = []
    weight, has_any = 1.0, False
    for word in words:
        try:
            weight, has_any = float(word), True
        except ValueError:
            weights.append(weight)
            paths.append(word)
            weight = 1.0
    return (weights if has_any else []), paths
