#!/usr/bin/env python3
"""Make service/vendor again: `python scripts/vendor_docs.py` (needs npm).

It holds the pages that show OpenAPI at /docs and /redoc, so that they ask no other machine. To take
newer versions, change package.json there and run this.
"""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "src/fovea/service/vendor"
TAKEN = {
    "swagger-ui-bundle.js": "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui-bundle.js-LICENSE.txt": "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
    "swagger-ui-LICENSE.txt": "swagger-ui-dist/LICENSE",
    "redoc.standalone.js": "redoc/bundles/redoc.standalone.js",
    "redoc.standalone.js-LICENSE.txt": "redoc/bundles/redoc.standalone.js.LICENSE.txt",
    "redoc-LICENSE.txt": "redoc/LICENSE",
}
LEFT_OUT = (
    (
        rb"https://cdn\.redoc\.ly/[\w./-]+\.svg",
        b"data:,",
    ),  # a logo that another machine would serve
    (rb"\n//# sourceMappingURL=\S+\s*$|/\*# sourceMappingURL=\S+ \*/\s*$", b"\n"),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shutil.copy(VENDOR / "package.json", work)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(npm, cwd=work, check=True)
        packages = {}
        for target, source in TAKEN.items():
            content = (work / "node_modules" / source).read_bytes()
            for pattern, instead in LEFT_OUT:
                content = re.sub(pattern, instead, content)
            (VENDOR / target).write_bytes(content)
            about = json.loads(
                (work / "node_modules" / source.partition("/")[0] / "package.json").read_text()
            )
            packages[about["name"]] = {"version": about["version"], "licence": about["license"]}
    files = sorted(path for path in VENDOR.iterdir() if path.name != "manifest.json")
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    manifest = {"packages": packages, "sha256": digests}
    (VENDOR / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
