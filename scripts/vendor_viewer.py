#!/usr/bin/env python3
"""Make viewer/vendor/spark-three.min.js again: `python scripts/vendor_viewer.py` (needs npm).

npm installs what package-lock.json names, by its hashes; esbuild puts entry.js and all it needs
into one file. To take newer versions, change package.json, delete package-lock.json and run this.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "src/fovea/viewer/vendor"
SHIPPED = {
    "three": "node_modules/three",
    "spark": "node_modules/@sparkjsdev/spark",
    "fflate": "node_modules/fflate",
}
BUNDLE = "spark-three.min.js"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for file in ("package.json", "package-lock.json", "entry.js"):
            if (VENDOR / file).is_file():
                shutil.copy(VENDOR / file, work)
        install = "ci" if (work / "package-lock.json").is_file() else "install"
        npm = ["npm", install, "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"]
        subprocess.run(npm, cwd=work, check=True)
        flags = ["--bundle", "--minify", "--format=iife", "--global-name=foveaVendor"]
        flags += ["--target=es2022", "--legal-comments=none", f"--outfile={BUNDLE}"]
        subprocess.run(["npx", "esbuild", "entry.js", *flags], cwd=work, check=True)
        shutil.copy(work / BUNDLE, VENDOR)
        shutil.copy(work / "package-lock.json", VENDOR)
        packages = {}
        for short, folder in SHIPPED.items():
            shutil.copy(work / folder / "LICENSE", VENDOR / f"{short}-LICENSE.txt")
            about = json.loads((work / folder / "package.json").read_text())
            packages[about["name"]] = {"version": about["version"], "licence": about["license"]}
    files = sorted(p for p in VENDOR.iterdir() if p.name != "manifest.json")
    digests = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    manifest = {"packages": packages, "sha256": digests}
    (VENDOR / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
