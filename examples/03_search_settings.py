"""Search over the settings of a stage, then run what was best; the study file is all there is."""

import subprocess
import sys
from pathlib import Path

STUDY = """
study: rates
target: {stage: relight.fit, config: tiny}
objective: {metric: test/psnr, goal: max}
space:
  rates.means: {float: [4.0e-5, 2.0e-3], log: true}
  densify.gradient: {float: [5.0e-5, 1.0e-3], log: true}
budget: {trials: %s}
"""

if __name__ == "__main__":
    Path("rates.yaml").write_text(STUDY % (sys.argv[1] if len(sys.argv) > 1 else 20))
    fovea = [sys.executable, "-m", "fovea"]
    subprocess.run([*fovea, "tune", "rates.yaml"], check=True)
    subprocess.run([*fovea, "run", "studies/rates/best.yaml"], check=True)
