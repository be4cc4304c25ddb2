"""Make the generated parts of README.md and docs/ again, or check that they are up to date.

A generated part stands between two marks and is what a command prints:

    <!-- prints: fovea --help -->
    <!-- end -->

With --check nothing is written; the exit status is 1 and the files are named if anything differs.
Links to files of the repository are followed too.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PART = re.compile(r"(<!-- prints: (?P<command>.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; say what differs")
    check = parser.parse_args().check
    wrong = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text()
        made = PART.sub(lambda part: part[1] + run(part["command"]) + part[3], text)
        name = page.relative_to(ROOT)
        if made != text:
            wrong.append(f"{name} is not what its commands print; run scripts/docs.py")
            if not check:
                page.write_text(made)
        for target in LINK.findall(text):
            if not (page.parent / target).exists():
                wrong.append(f"{name} links to {target}, which does not exist")
    if wrong:
        print("\n".join(wrong))
    return 1 if wrong and check else 0


def run(command: str) -> str:
    """What a command prints, as a fenced block. `fovea` is the one of this environment."""
    words = shlex.split(command)
    if words[0] == "fovea":
        words = [sys.executable, "-m", "fovea", *words[1:]]
    if words[0] == "python":
        words[0] = sys.executable
    environment = os.environ | {"COLUMNS": "96", "NO_COLOR": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return f"```text\n$ {command}\n{done.stdout.strip()}\n```\n"


if __name__ == "__main__":
    sys.exit(main())
