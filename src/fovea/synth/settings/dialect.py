"""What data-juicer's YAML says in words of its own, read into the settings of this room.

Every key of its table is one of four: a setting here under the same name; met whatever it says
(`IDLE`, with how); impossible here and refused when it asks for something (`REFUSED`, with what to
do instead); or unknown, which is refused as any misspelt setting is.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path as _Path
from typing import Any

_OF_SANDBOX = "of data-juicer's sandbox"
_FUSED = "operators are always fused, each picture decoded once"
_KEPT = "finished parts are always kept and taken up"
_FOLDER = "a run has a folder of its own; --run names it"
_LOGGED = "events and messages of a run are always in its folder"
_ONE_PAGE = "of synth.analyze, which puts all on one page"
_PARTS = "parts are cut by shard_rows and np is the number of those at work"
IDLE: Mapping[str, str] = {
    "auto_op_parallelism": "cores and memory that operators ask for always bound np",
    "use_cache": _KEPT,
    "use_checkpoint": _KEPT,
    "checkpoint": _KEPT,
    "checkpoint_dir": _FOLDER,
    "resume": _KEPT,
    "preserve_intermediate_data": _KEPT,
    "intermediate_storage": _FOLDER,
    "partition": _PARTS,
    "partition_size": _PARTS,
    "partition_dir": _FOLDER,
    "override_num_blocks": _PARTS,
    "resource_optimization": _PARTS,
    "op_fusion": _FUSED,
    "fusion_strategy": _FUSED,
    "mapper_fusion": _FUSED,
    "mapper_fusion_vram_limit": _FUSED,
    "adaptive_batch_size": _FUSED,
    "elastic_juicer_adaptive_batching": _FUSED,
    "elastic_juicer_profile_seed": _FUSED,
    "use_dag": "the plan is always made before anything is read",
    "turbo": "a batch is tried whole first, and row by row only where it fails",
    "strict_preflight": "operators and their parameters are always checked before",
    "export_in_parallel": "the result is the finished parts behind one another",
    "work_dir": _FOLDER,
    "job_id": _FOLDER,
    "event_log_dir": _LOGGED,
    "event_logging": _LOGGED,
    "max_log_size_mb": _LOGGED,
    "backup_count": _LOGGED,
    "debug": "--verbose shows more",
    "audio_key": "no operator here listens",
    "audio_bytes_key": "no operator here listens",
    "video_key": "no operator here looks at videos",
    "video_bytes_key": "no operator here looks at videos",
    "data_probe_algo": _OF_SANDBOX,
    "data_probe_ratio": _OF_SANDBOX,
    "custom_config": _OF_SANDBOX,
    "backbone": _OF_SANDBOX,
    "save_stats_in_one_file": _ONE_PAGE,
    "op_list_to_mine": _ONE_PAGE,
    "min_common_dep_num_to_combine": "no environment is made for operators",
    "conflict_resolve_strategy": "no environment is made for operators",
}
"""Keys that say how, not what: what they ask for is so in any case, or concerns nothing here."""
REFUSED: Mapping[str, str] = {
    "generated_dataset_config": "give the data set's files by dataset_path",
    "load_dataset_kwargs": "files are read by the settings of this stage alone; leave it empty",
    "read_options": "files are read by the settings of this stage alone; leave it empty",
    "cache_compress": "finished parts are kept as they are; leave it empty",
    "export_extra_args": "the result is jsonl, json or parquet; leave it empty",
    "export_aws_credentials": "the result is written to files; copy them afterwards",
    "hpo_config": "fovea tune searches for the best values of any setting",
    "open_insight_mining": "synth.analyze shows what each operator does",
    "add_suffix": "suffix_filter reads the field __dj__suffix__ that rows bring",
    "seed": "a run has one seed for all that is random; give it by --seed",
}
"""Keys that ask for what is not done here."""
SISTERS: Mapping[str, str] = {
    **dict.fromkeys(
        ["export_path", "export_type", "export_shard_size", "export_paths", "open_tracer",
         "keep_stats_in_res_ds", "keep_hashes_in_res_ds", "op_list_to_trace", "trace_num",
         "trace_keys", "encrypt_before_export"],
        "of synth.clean",
    ),
    **dict.fromkeys(
        ["percentiles", "export_original_dataset", "pictures", "picture_px", "bins", "auto",
         "auto_num"],
        "of synth.analyze",
    ),
}  # fmt: skip
"""Keys that another stage of the room takes: one recipe is given to both."""
LISTS = ("text_keys", "suffixes", "validators", "process", "custom_operator_paths",
         "op_list_to_trace", "trace_keys")  # fmt: skip
LOCAL = ("local", "ondisk")
KEYS_OF_A_SOURCE = frozenset(["type", "source", "path", "weight"])


def translated(data: Mapping[Any, Any], known: Collection[str]) -> dict[str, Any]:
    """The settings that a recipe of data-juicer means.

    Args:
        data: as it was given.
        known: names of the stage's own settings.

    Raises:
        ValueError: it asks for what is not done here.
    """
    given = {str(name).replace("-", "_"): value for name, value in data.items()}
    for name, instead in REFUSED.items():
        if name not in known and given.pop(name, None) not in (None, False, "", 0, {}, []):
            raise ValueError(f"{name} is not done here: {instead}")
    _alias(given)
    idle = sorted({*IDLE, *SISTERS} & set(given) - set(known))
    if idle:
        given["ignored"] = sorted({*given.get("ignored", ()), *idle})
    given = {name: value for name, value in given.items() if name not in idle}
    for name in LISTS:
        if name in given and given[name] is None:
            given[name] = []
        elif isinstance(given.get(name), str):
            given[name] = [given[name]]
    compat = given.get("compat")
    if isinstance(compat, bool):
        given["compat"] = ["all"] if compat else []
    if given.get("percentiles", True) in (None, []):
        del given["percentiles"]
    _place(given)
    return given


def reason(name: str) -> str:
    """Why a key has no effect."""
    return IDLE.get(name) or SISTERS.get(name, "nothing to do here")


def _alias(given: dict[str, Any]) -> None:
    """Older names of keys."""
    if "executor" in given:
        given.setdefault("executor_type", given.pop("executor"))


def _place(given: dict[str, Any]) -> None:
    """`dataset_path: 0.5 a.jsonl 0.5 b.jsonl`, and `dataset: {configs: [...]}`."""
    listed = given.pop("dataset", None)
    if isinstance(listed, Mapping) and listed:
        _sources(given, listed)
        return
    if listed:
        raise ValueError(f"dataset must be {{configs: [{{path, weight}}]}}; got {listed!r}")
    path = given.get("dataset_path")
    if not isinstance(path, str | _Path) or _Path(str(path)).exists():
        return
    words = shlex.split(str(path))
    if len(words) > 1:
        weights, paths = _weighed(words)
        given["dataset_path"] = paths
        if weights:
            given["weights"] = weights


def _sources(given: dict[str, Any], listed: Mapping[str, Any]) -> None:
    configs = listed.get("configs") or []
    unknown = sorted(set(listed) - {"configs", "max_sample_num"})
    if unknown or not isinstance(configs, list) or not configs:
        raise ValueError(
            "dataset must have configs, a list of {path, weight}, and may have max_sample_num;"
            f" got {', '.join(map(str, listed))}"
        )
    for number, config in enumerate(configs):
        where = f"dataset.configs[{number}]"
        if not isinstance(config, Mapping) or not config.get("path"):
            raise ValueError(f"{where} has no path: {config!r}")
        if config.get("type", "local") not in LOCAL:
            raise ValueError(
                f"{where} has type {config['type']}; only local files are read. Give their path"
            )
        if unknown := sorted(set(config) - KEYS_OF_A_SOURCE):
            raise ValueError(f"{where} has {unknown[0]}, which is not known; known are path and"
                             " weight")  # fmt: skip
    given["dataset_path"] = [str(config["path"]) for config in configs]
    if any("weight" in config for config in configs):
        given["weights"] = [float(config.get("weight", 1.0)) for config in configs]
    if listed.get("max_sample_num"):
        given["max_sample_num"] = listed["max_sample_num"]


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
