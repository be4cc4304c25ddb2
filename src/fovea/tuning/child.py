"""The process of one worker among several: `python -m fovea.tuning.child FOLDER NOTE`.

It works in the study of the folder until that is over, and writes down why in NOTE; where there is
no note, it died. It ends with its controller.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from fovea.errors import FoveaError
from fovea.runs.child import PARENT, die_with_parent
from fovea.runs.durable import write_json
from fovea.tuning.ending import Ending
from fovea.tuning.plan import load
from fovea.tuning.stopping import StopNote
from fovea.tuning.study import Study
from fovea.tuning.worker import Worker


def main() -> int:
    """Work in the study of the folder on the command line."""
    folder, note = Path(sys.argv[1]), Path(sys.argv[2])
    die_with_parent(int(os.environ.pop(PARENT, os.getppid())))
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("fovea").setLevel(logging.INFO)
    heard: list[int] = []
    wish = StopNote(folder)

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) > 1:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)
    try:
        with Study.open(folder) as study:
            plan = load(folder / "study.yaml")

            def is_asked() -> bool:
                return bool(heard) or wish.is_asked()

            ending = Worker(study, plan, asked_to_stop=is_asked).work()
    except FoveaError as error:
        ending = Ending(str(error), error.exit_code)
    write_json(note, {"reason": ending.reason, "exit_code": ending.exit_code})
    return ending.exit_code


if __name__ == "__main__":
    sys.exit(main())
