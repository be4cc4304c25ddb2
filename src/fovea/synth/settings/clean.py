"""What `synth.clean` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import setting
from fovea.synth.settings.data import DataConfig


class CleanConfig(DataConfig):
    """A data set goes through operators: filtered, changed, synthesised, rid of duplicates."""

    export_path: str | None = setting(
        None, "put the result under this name as well, res.jsonl with res_stats.jsonl beside it",
        local_only=True,
    )  # fmt: skip
    export_type: Literal["jsonl", "json", "parquet"] | None = setting(
        None, "form of the result; else by the ending of export_path, else jsonl"
    )
    export_shard_size: int = setting(0, "bytes of a file; 0 writes one, larger results become "
                                     "several, res-00-of-05.jsonl", ge=0)  # fmt: skip
    export_paths: Literal["given", "relative", "absolute"] = setting(
        "given", "images as they were given, from the result's folder, or from the root"
    )
    keep_stats_in_res_ds: bool = setting(False, "keep statistics and tags in the result's rows")
    keep_hashes_in_res_ds: bool = setting(False, "keep the hashes of deduplication in them")
    open_tracer: bool = setting(False, "keep examples of what each operator changed or dropped")
    op_list_to_trace: list[str] = setting([], "operators that are traced; none named, all are")
    trace_num: int = setting(10, "examples of each operator", ge=1)
    trace_keys: list[str] = setting([], "fields shown beside each example, id")
    encrypt_before_export: bool = setting(
        False, "encrypt the result and its statistics by Fernet, with encryption_key_path"
    )
