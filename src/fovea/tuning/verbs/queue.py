"""Trials that a person wants: those that failed, once more, and some of one's own."""

from __future__ import annotations

from fovea import console
from fovea.errors import ConfigError
from fovea.tuning.verbs import VERBS, words


def retry(arguments: list[str]) -> int:
    """Queue trials again."""
    parser = words.parser("retry", VERBS["retry"].summary)
    words.add_study(parser, changes=False)
    parser.add_argument("trials", nargs="+", help="numbers, or 'failed'")
    options = parser.parse_intermixed_args(arguments)
    with words.open_study(options) as study:
        failed = [r.number for r in study.records if r.state == "failed"]
        wrong = [word for word in options.trials if not (word == "failed" or word.isdigit())]
        if wrong:
            raise ConfigError(
                f"trials are given by number, or as 'failed'; got {', '.join(wrong)}."
            )
        numbers = failed if "failed" in options.trials else [int(word) for word in options.trials]
        study.retry(numbers)
        console.say(f"queued {len(numbers)} trials; 'fovea tune {study.folder}' runs them.")
    return 0


def enqueue(arguments: list[str]) -> int:
    """Queue a trial with parameters of one's own."""
    parser = words.parser("enqueue", VERBS["enqueue"].summary)
    words.add_study(parser, changes=False)
    parser.add_argument("parameters", nargs="+", metavar="key=value", help="of the space")
    options = parser.parse_intermixed_args(arguments)
    from fovea import dialect
    from fovea.tuning.plan import load

    pairs = [word.partition("=") for word in options.parameters]
    given = {name.removeprefix("--"): dialect.parse(text) for name, _, text in pairs}
    with words.open_study(options) as study:
        study.enqueue(load(study.folder / "study.yaml").space, given)
        console.say(f"queued; 'fovea tune {study.folder}' runs it.")
    return 0
