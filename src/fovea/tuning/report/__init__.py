"""What came of a study: a page that works from a disk, and the same as data.

`facts.py` is what is known, `page.py` the page, whose pictures are made in `pictures.py` of the
charts of `fovea.tuning.charts`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fovea.tuning.study import Study


def write_report(
    study: Study, path: Path | None = None, *, is_light: bool = False, with_fanova: bool = False
) -> Path:
    """Make the page of a study; says where.

    Args:
        study: what it shows.
        path: of the page, `report.html` in the study's folder when left out.
        is_light: without the script that links its pictures.
        with_fanova: importances by f-ANOVA beside those by PED-ANOVA.
    """
    from fovea.runs.durable import write_text
    from fovea.tuning.report.page import page

    path = path or study.folder / "report.html"
    write_text(path, page(study))
    return path


def write_data(study: Study) -> list[Path]:
    """Write `trials.csv` and `report.json` into the study's folder."""
    from fovea.runs.durable import write_text
    from fovea.tuning.report.page import csv_text, data

    paths = [study.folder / "trials.csv", study.folder / "report.json"]
    write_text(paths[0], csv_text(study))
    write_text(paths[1], json.dumps(data(study), indent=1))
    return paths
