"""What `vlm.pack` may be told."""

from __future__ import annotations

from fovea.config import Config, Path, artifact, setting


class PackConfig(Config):
    """Recipe, logs and answers become the archive that the challenge takes."""

    recipe: tuple[Path, ...] = artifact("file", "the data recipe (YAML) and code that goes with it")
    pretrain_log: Path = artifact("log", "pretrain.log of vlm.pretrain")
    finetune_log: Path = artifact("log", "finetuning.log of vlm.finetune")
    textvqa: Path = artifact("answers", "answers of vlm.evaluate to TextVQA")
    mmbench: Path = artifact("answers", "answers of vlm.evaluate to MMBench")
    data: Path = artifact("llava", "the conversations that vlm.pretrain learnt from")
    upload: Path | None = artifact(
        "file", "answers_upload.xlsx of the same evaluation", optional=True
    )
    questions: Path | None = artifact(
        "file", "TextVQA's annotations: every question is looked for", optional=True
    )
    table: Path | None = artifact("file", "MMBench's table: every row is looked for", optional=True)
    script: Path | None = artifact(
        "file", "the train.sh that ran; left out, one is written from the settings", optional=True
    )
    name: str = setting(
        "default", "of the experiment, as folders carry it", min_length=1, pattern=r"^[\w.-]+$"
    )
    split: str = setting("mmbench_dev_20230712", "MMBench's split, as folders carry it",
                         min_length=1)  # fmt: skip
    finetune_samples: int = setting(240_000, "instructions of stage 2; 12000 in the trial", ge=1)
    batches: tuple[int, int] = setting((256, 128), "samples a step in stage 1 and stage 2")
    most_samples: int = setting(200_000, "pretraining samples that are allowed", ge=1)
    most_mb: int = setting(100, "size that is allowed in MB", ge=1)
    strict: bool = setting(
        True, "refuse an archive with anything wrong; otherwise what is wrong is only told"
    )
