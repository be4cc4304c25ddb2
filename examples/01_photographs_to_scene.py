"""Photographs with poses become Gaussians, from Python: a stage called as a run."""

import sys
from pathlib import Path

from fovea.dialect import SAMPLES
from fovea.relight.settings.fit import FitConfig
from fovea.relight.stages import FIT
from fovea.runs.recipe import Recipe
from fovea.runs.run import execute

photographs = SAMPLES / "still_life"
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
config = FitConfig(data=photographs, iterations=steps, resolution=1 if steps > 500 else 8)
if __name__ == "__main__":
    run = execute(Recipe.single(FIT, config), root=Path("runs"))
    scene = run.outputs("fit")["scene"]
    print(f"{run.scores('fit')['test/psnr']:.1f} dB on views it has not seen; {scene}")
