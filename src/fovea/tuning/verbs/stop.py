"""`fovea tune stop`: let whoever works in a study save and leave."""

from __future__ import annotations

import time

from fovea import console
from fovea.tuning.verbs import VERBS, words

LOOK_EVERY_S = 0.2


def main(arguments: list[str]) -> int:
    """Leave a note, and wait until nobody is at work."""
    parser = words.parser("stop", VERBS["stop"].summary)
    words.add_study(parser, changes=False)
    parser.add_argument(
        "--wait", type=float, default=60.0, metavar="S", help="seconds to wait for it; 0 does not"
    )
    options = parser.parse_args(arguments)
    with words.open_study(options) as study:
        if not study.is_at_work:
            console.say(f"nobody works in {study.folder}: there is nothing to stop.")
            return 0
        study.ask_to_stop()
        end = time.monotonic() + options.wait
        while study.is_at_work and time.monotonic() < end:
            time.sleep(LOOK_EVERY_S)
        if study.is_at_work:
            console.say(f"asked; {study.folder} ends when its trial has saved.")
        else:
            console.say(f"{study.folder} has stopped; 'fovea tune {study.folder}' goes on.")
    return 0
