"""`fovea track`: tell trackers of a study's trials what they have missed."""

from __future__ import annotations

import argparse

from fovea import console
from fovea.errors import ConfigError
from fovea.tuning.tracks.settings import TRACKERS
from fovea.tuning.verbs import words

SUMMARY = "tell a tracker what it has not whole of a study's trials, from their own metrics"


def main(arguments: list[str]) -> int:
    """`fovea track sync STUDY`; gives the exit code."""
    parser = argparse.ArgumentParser(prog="fovea track", description=SUMMARY, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("sync", help=SUMMARY, description=SUMMARY, allow_abbrev=False)
    words.add_study(verb, changes=False)
    verb.add_argument(
        "--to", choices=TRACKERS, help="the tracker; all that the study file names when left out"
    )
    verb.add_argument("--online", action="store_true", help="send to Weights & Biases")
    verb.add_argument("--anew", action="store_true", help="also what was told before")
    options = parser.parse_args(arguments)
    from fovea.tuning.plan import load
    from fovea.tuning.tracks.sync import sync

    with words.open_study(options) as study:
        plan = load(study.folder / "study.yaml")
        names = [options.to] if options.to else list(plan.file.track.wanted)
        if not names:
            raise ConfigError(
                f"{study.folder}/study.yaml names no tracker. Say which: --to tensorboard, "
                "--to wandb or --to mlflow."
            )
        told = {
            name: sync(
                study, plan, name, online=options.online and name == "wandb", anew=options.anew
            )
            for name in names
        }
    text = "\n".join(f"{name}: {count} trials were told" for name, count in told.items())
    console.answer(text, told)
    return 0
