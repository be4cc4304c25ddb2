"""What `synth.export` may be told."""

from __future__ import annotations

from typing import Literal

from fovea.config import Config, Path, artifact, setting


class ExportConfig(Config):
    """Image-text data in the form that a training reads, checked on the way."""

    dataset_path: Path = artifact("samples", "rows of data-juicer's form, or LLaVA's json")
    to: Literal["llava", "dj", "webdataset"] = setting(
        "llava", "LLaVA's json, rows of data-juicer from LLaVA's json, or tar files"
    )
    original_llava_ds_path: Path | None = artifact(
        "llava", "LLaVA's json that the rows were made from; gives their questions back",
        optional=True,
    )  # fmt: skip
    restore_questions: bool | None = setting(
        None, "take questions from the original; by itself where one is given"
    )
    question: str = setting(
        "", "question of every caption where there is no original, `Describe the image.`"
    )
    cap: int = setting(200_000, "rows at most, drawn as the challenge draws; 0 takes all", ge=0)
    cap_seed: int = setting(1024, "seed of that draw")
    fill: Literal["no", "repeat"] = setting("no", "repeat rows until there are `cap` of them")
    keep_only_first_image: bool = setting(True, "take image tokens out of all but the first turn")
    image_special_token: str | None = setting(
        None, "token of an image; as the data set says, else <__dj__image>, of LLaVA's <image>"
    )
    eoc_special_token: str = setting("<|__dj__eoc|>", "ends a chunk")
    sent_separator: str = setting("\n", "stands between turns")
    str_id: bool = setting(True, "to=dj: ids become text")
    only_keep_caption: bool = setting(True, "to=dj: leave the question out")
    split_chunk: bool = setting(False, "to=dj: a chunk for each round")
    image_broadcast: bool = setting(False, "to=dj: the image in each chunk; needs split_chunk")
    image_broadcast_pos: Literal["before", "after", "random", "follow"] = setting(
        "random", "to=dj: where its token goes"
    )
    add_eoc_at_last: bool = setting(True, "to=dj: end the text with the end-of-chunk token")
    image_root: str | None = setting(
        None, "folder that relative image paths start from; else the data set's", local_only=True
    )
    paths: Literal["given", "absolute"] = setting("given", "images as they were given, or whole")
    check_images: Literal["exists", "decodes", "no"] = setting(
        "exists", "whether images must be there, or be decoded whole"
    )
    allow: bool = setting(
        False, "leave out rows that would spoil training, instead of stopping at them"
    )
    shard_bytes: int = setting(1 << 28, "to=webdataset: bytes of a tar file", gt=0)
