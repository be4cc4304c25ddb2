"""Runs a recipe as the command line does, for tests that kill it."""

import sys
from pathlib import Path

from fovea import console
from fovea.errors import FoveaError
from fovea.runs import command

if __name__ == "__main__":
    try:
        sys.exit(command.run([sys.argv[1], "--root", str(Path(sys.argv[2])), *sys.argv[3:]]))
    except FoveaError as error:
        console.fail(error)
        sys.exit(error.exit_code)
