"""What came of a study: a page that works from a disk, and the same as data.

`view.py` is the study as it is shown, `facts.py` what is known as data, `pictures.py` the pictures
(of `fovea.tuning.charts` and `panels.py`), `parts.py` words and tables, `page.py` the page.
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
    from fovea.tuning.report.view import View

    path = path or study.folder / "report.html"
    write_text(path, page(View.of(study, with_fanova=with_fanova), is_light=is_light))
    return path


def write_data(study: Study, *, with_fanova: bool = False) -> list[Path]:
    """Write `trials.csv` and `report.json` into the study's folder."""
    from fovea.runs.durable import write_text
    from fovea.tuning.report.facts import csv_text, data
    from fovea.tuning.report.view import View

    view = View.of(study, with_fanova=with_fanova)
    paths = [study.folder / "trials.csv", study.folder / "report.json"]
    write_text(paths[0], csv_text(view))
    write_text(paths[1], json.dumps(data(view), indent=1))
    return paths
