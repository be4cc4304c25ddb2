"""Tiny runs of all stages, each made once, for the tests of what every stage promises."""

from functools import cache
from pathlib import Path

from forks import Fork, run_tiny

from fovea import catalog
from fovea.config import preset_file
from fovea.dialect import load
from fovea.runs.run import Run

NAMES = list(catalog.STAGES)
MAKERS = {
    ("relight.decompose", "surface"): "relight.bake",
    ("relight.export", "scene"): "relight.decompose",
    ("events.label", "detector"): "events.train",
    ("events.audit", "labels"): "events.label",
    ("events.audit", "log"): "events.label",
    ("events.annotate", "data"): "events.simulate",
    ("events.compare", "scores"): "events.evaluate",
    ("vlm.evaluate", "model"): "vlm.finetune",
    ("vlm.evaluate", "questions"): "synth.simulate",
    ("vlm.compare", "scores"): "vlm.evaluate",
    ("vlm.pack", "recipe"): "synth.simulate",
    ("vlm.pack", "finetune_log"): "vlm.finetune",
}
"""Which stage makes an input that is optional and needed all the same, or where the first stage
that makes its kind will not do: an export needs materials."""


class Workshop:
    """The tiny runs, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tiny = cache(self._tiny)

    def inputs(self, name: str) -> list[str]:
        """What the preset leaves open, from the stages that make it."""
        stage = catalog.stage(name)
        given = load(preset_file(name, "tiny")).data
        words: list[str] = []
        for field, kind in stage.inputs.items():
            is_needed = stage.config.model_fields[field].is_required() or (name, field) in MAKERS
            if field not in given and is_needed:
                maker, output = next(
                    (maker, output)
                    for maker in NAMES
                    for output, made in catalog.stage(maker).outputs.items()
                    if made.kind == kind and maker == MAKERS.get((name, field), maker) != name
                )
                run, _ = self.tiny(maker)
                words.append(f"{field}={run.outputs(run.stages[0].key)[output].absolute()}")
        return words

    def start(self, name: str, folder: Path, *words: str) -> Fork:
        log = folder.with_name(f"{folder.name}.log")
        return Fork(log, run_tiny, name, folder, *self.inputs(name), *words)

    def _tiny(self, name: str) -> tuple[Run, float]:
        spent_s = self.start(name, self.folder / name).wait()
        return Run.open(self.folder / name), spent_s
