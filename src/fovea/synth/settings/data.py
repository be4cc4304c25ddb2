"""A data set and how it is read: the settings that every stage of the room has.

Their names are those of data-juicer's YAML, so that such a file is given by `--config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from fovea.config import Config, Path, artifact, setting
from fovea.synth.settings.dialect import translated


class DataConfig(Config):
    """A data set of data-juicer's form, and the operators that look at it."""

    dataset_path: tuple[Path, ...] = artifact(
        "samples",
        "jsonl, json or parquet, also .gz or .zst, or a folder of them; a list is one data set",
    )
    weights: list[float] = setting(
        [], "how much of each file is taken, 0.5 is half of its rows; above 1 they are relative"
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
    executor_type: Literal["default", "ray", "ray_partitioned"] = setting(
        "default", "worker processes of this machine, or of a Ray cluster", in_fingerprint=False
    )
    ray_address: str = setting(
        "auto", "of the cluster: auto, host:6379, or local for one of its own",
        local_only=True, in_fingerprint=False,
    )  # fmt: skip
    project_name: str = setting(
        "", "label of the work, which stands in the report", in_fingerprint=False, advanced=True
    )
    temp_dir: str | None = setting(
        None, "folder for what is unpacked or drawn before it is read; else the run's own",
        local_only=True, in_fingerprint=False, advanced=True,
    )  # fmt: skip
    decrypt_after_reading: bool = setting(False, "the data set's files are encrypted by Fernet")
    encryption_key_path: str | None = setting(
        None, "file of the Fernet key; else the variable DJ_ENCRYPTION_KEY has it",
        local_only=True, in_fingerprint=False,
    )  # fmt: skip
    open_monitor: bool = setting(
        False, "watch processor and memory, and what each operator took", in_fingerprint=False
    )
    ignored: list[str] = setting(
        [], "keys of the YAML that have no effect here; filled in by itself",
        in_fingerprint=False, advanced=True,
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _from_data_juicer(cls, data: Any) -> Any:
        """Read what data-juicer's YAML says in words of its own."""
        return translated(data, cls.model_fields) if isinstance(data, Mapping) else data

    @property
    def quirks(self) -> list[str]:
        """The habits that were asked for, by name."""
        return self.compat
