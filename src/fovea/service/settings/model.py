"""The network that predicts, and where work in progress is kept."""

from __future__ import annotations

from fovea.config import Config, Path, setting


class ModelConfig(Config):
    """The network that predicts, and where work in progress is kept."""

    checkpoint: str = setting(
        "auto",
        "sharp, lite, a checkpoint or a folder of photo.export; auto is sharp where its file is in"
        " the cache, else lite",
        min_length=1,
    )
    preload: bool = setting(
        True, "whether the network is loaded once at the start, so that /v1/health can say it"
    )
    accept_licence: bool = setting(False, "accept the licence of weights that are downloaded")
    temp_dir: Path | None = setting(
        None, "folder of what is sent in; none is the one beside the job table"
    )
