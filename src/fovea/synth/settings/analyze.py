"""What `synth.analyze` may be told."""

from __future__ import annotations

from fovea.config import setting
from fovea.synth.settings.data import DataConfig


class AnalyzeConfig(DataConfig):
    """A data set is measured once, and what limits would keep of it is shown."""

    percentiles: list[float] = setting([0.05, 0.25, 0.5, 0.75, 0.95], "quantiles that are listed")
    auto: bool = setting(
        False, "leave the recipe's operators alone: measure everything cheap of auto_num rows"
    )
    auto_num: int = setting(1000, "rows that auto looks at", ge=1)
    pictures: int = setting(8, "samples shown of what each filter drops, and of what it keeps",
                            ge=0, le=100)  # fmt: skip
    picture_px: int = setting(150, "width of their pictures", ge=40, le=640)
    bins: int = setting(40, "bars of a distribution", ge=5, le=200)
    export_original_dataset: bool = setting(
        False, "write the rows with their statistics, which synth.clean takes over"
    )
