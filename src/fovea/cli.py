"""The command line: words in, a Run out.

`fovea ROOM VERB key=value ...` runs one stage; the other commands are named in `COMMANDS` and
imported when asked for. What a person can mend is said as its sentence; the rest is a traceback.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import textwrap
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from fovea import catalog, console
from fovea.errors import ConfigError, FoveaError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from fovea.config import Resolved
    from fovea.runs.stage import Stage


class Command(NamedTuple):
    """A command that is no stage."""

    target: str
    """`module:function`, which takes the words after the command and gives the exit code."""
    summary: str
    extras: tuple[str, ...] = ()


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "fovea.runs.command:demo", "photographs become an object to walk around, in minutes"
    ),
    "run": Command("fovea.runs.command:run", "run a recipe: stages in order, joined"),
    "plan": Command("fovea.runs.command:plan", "say what `run` would do, and why"),
    "resume": Command("fovea.runs.command:resume", "go on with a run that was interrupted"),
    "runs": Command("fovea.runs.command:runs", "list, show, compare, export and remove runs"),
    "view": Command("fovea.viewer.command:main", "walk in a scene, look at a run, in the browser"),
    "tune": Command("fovea.tuning.command:main", "search for better settings", ("tune",)),
    "track": Command(
        "fovea.tuning.tracks.command:main", "tell W&B, MLflow or TensorBoard of a study", ("tune",)
    ),
    "serve": Command("fovea.service.command:main", "the same stages over HTTP", ("serve",)),
    "worker": Command(
        "fovea.service.worker:main", "work on the jobs of a service, on any machine", ("serve",)
    ),
    "keys": Command(
        "fovea.service.access.command:main", "keys of the service: create, list, revoke", ("serve",)
    ),
    "leod": Command("fovea.cli:leod", "commands of LEOD and RVT, as they are typed there"),
    "config": Command("fovea.cli:config", "explain, schema, init: settings and their sources"),
    "plugins": Command("fovea.cli:plugins", "stages that other packages add"),
    "completion": Command("fovea.completion:main", "what the Tab key offers: bash, zsh, fish"),
    "doctor": Command("fovea.runs.command:doctor", "what this machine has, and what is missing"),
    "warmup": Command(
        "fovea.scene.raster.warmup:main", "compile the CPU rasteriser ahead of time", ("scene",)
    ),
}
SHORT: dict[str, tuple[str, str]] = {"photo": ("photo", "photos")}
"""Rooms whose name and a path run a recipe, one on a file and one on a folder: `vars.path`."""
ASIDE: dict[str, Command] = {
    "vlm chat": Command("fovea.vlm.chat:main", "talk with a model about a picture", ("vlm",)),
}
"""Verbs of a room that are no stages: nothing of them is kept."""
EXAMPLES = {
    "fovea photo me.jpg": "one photograph -> a scene to walk in, and a film",
    "fovea demo": "its own photographs -> an object to walk around",
    "fovea relight fit photos/ iterations=7000": "the same with your own photographs",
    "fovea run demo fit.iterations=2000": "a recipe, with one setting changed",
}
EVERYWHERE = "--help, --json (answers and errors as JSON), -q, --quiet, -v, --verbose, --no-color"
HELP = (["-h"], ["--help"])


CONFIG = {
    "explain STAGE [key=value ...]": "every setting, its value, and where that came from",
    "schema STAGE": "the settings as a JSON Schema",
    "init STAGE": "a YAML file of all settings, with comments",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the words say, and give the exit code."""
    words = _spoken(list(sys.argv[1:] if argv is None else argv))
    former = signal.signal(signal.SIGTERM, _terminated)
    try:
        return _dispatch(words)
    except FoveaError as error:
        console.fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        console.warn("stopped from the keyboard")
        return 130
    except BrokenPipeError:  # `fovea runs ls | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        signal.signal(signal.SIGTERM, former)


def config(words: list[str]) -> int:
    """`fovea config explain|schema|init STAGE ...`."""
    from fovea import describe

    actions = [usage.partition(" ")[0] for usage in CONFIG]
    if not words or words[:1] in HELP:
        console.answer(console.pairs({f"fovea config {k}": v for k, v in CONFIG.items()}), CONFIG)
        return 0
    if words[0] not in actions:
        raise ConfigError(
            f"'{words[0]}' is nothing `fovea config` does.{catalog.nearest(words[0], actions)} "
            f"It does: {', '.join(actions)}."
        )
    if len(words) < 2:
        raise ConfigError(
            f"`fovea config {words[0]}` needs a stage: {', '.join(catalog.stage_names())}."
        )
    stage = catalog.stage(words[1])
    if words[0] == "explain":
        _explain(stage, words[2:])
    elif words[0] == "init":
        text = describe.init_text(stage)
        console.answer(text.rstrip(), {"yaml": text})
    else:
        import json

        found = describe.schema(stage)
        console.answer(json.dumps(found, indent=2), found)
    return 0


def leod(words: list[str]) -> int:
    """`fovea leod SCRIPT words...`: say the command in our words, and run it."""
    from fovea.events.leod import SCRIPTS, translated

    is_dry = "--dry-run" in words
    words = [word for word in words if word != "--dry-run"]
    if not words or words in HELP:
        known = {f"fovea leod {name} ...": script.what for name, script in SCRIPTS.items()}
        known["--dry-run"] = "only say what it is in our words"
        console.answer(console.pairs(known), known)
        return 0
    found = translated(words)
    for note in found.notes:
        console.warn(note)
    console.say(found.line)
    return 0 if is_dry else _dispatch([found.stage, *found.words])


def plugins(words: list[str]) -> int:
    """`fovea plugins`: stages of other packages, and why one cannot be used."""
    if words and words not in HELP:
        raise ConfigError(f"fovea plugins takes no words; found {' '.join(words)}.")
    found = catalog.plugins()
    if not found:
        console.say("No other package adds stages. One would through the entry point fovea.stages.")
    if found or console.style.as_json:
        console.table(("name", "package", "target", "trouble"), found)
    return 0


def overview() -> str:
    """The first screen."""
    lines = ["Vision systems in one package, on a laptop or a GPU.", ""]
    lines += [console.pairs(EXAMPLES), ""]
    names = catalog.stage_names()
    lines.append(
        console.bold("Rooms")
        + "  (fovea ROOM says what each verb does, fovea ROOM VERB --help more)"
    )
    for room in dict.fromkeys(name.partition(".")[0] for name in names):
        verbs = [name.partition(".")[2] for name in names if name.startswith(f"{room}.")]
        lines.append(f"  {room}: {catalog.ROOMS.get(room, 'from another package')}")
        lines.append(
            textwrap.fill("  ".join(verbs), 96, initial_indent="    ", subsequent_indent="    ")
        )
    commands = {name: command.summary for name, command in COMMANDS.items()}
    lines += ["", console.bold("Commands"), console.pairs(commands)]
    return "\n".join([*lines, "", f"{console.bold('Everywhere')}  {EVERYWHERE}"])


def _dispatch(words: list[str]) -> int:
    if not words or words[:1] in HELP:
        console.answer(overview(), {"stages": catalog.stage_names(), "commands": list(COMMANDS)})
        return 0
    first, rest = words[0], words[1:]
    if first == "--version":
        from importlib.metadata import version

        console.answer(f"fovea {version('fovea-vision')}", {"version": version("fovea-vision")})
        return 0
    if first in COMMANDS:
        return _command(first, COMMANDS[first], rest)
    aside = f"{first} {rest[0]}" if rest else ""
    if aside in ASIDE:
        return _command(aside, ASIDE[aside], rest[1:])
    room, dot, verb = first.partition(".")
    return _room(room, [verb, *rest] if dot else rest)


def _command(name: str, command: Command, words: list[str]) -> int:
    module, _, function = command.target.partition(":")
    try:
        return getattr(importlib.import_module(module), function)(words)
    except ModuleNotFoundError:
        catalog.require(f"fovea {name}", command.extras)
        raise


def _room(room: str, words: list[str]) -> int:
    verbs = [n.partition(".")[2] for n in catalog.stage_names() if n.startswith(f"{room}.")]
    if not verbs:
        rooms = dict.fromkeys(name.partition(".")[0] for name in catalog.stage_names())
        near = catalog.nearest(room, [*rooms, *COMMANDS])
        raise ConfigError(
            f"'{room}' is neither a room nor a command.{near} "
            f"Rooms: {', '.join(rooms)}. Commands: {', '.join(COMMANDS)}."
        )
    if not words or words[:1] in HELP:
        about = {v: catalog.summary(f"{room}.{v}") for v in verbs}
        about |= {n.split()[1]: c.summary for n, c in ASIDE.items() if n.split()[0] == room}
        text = f"{console.bold(room)}: {catalog.ROOMS.get(room, 'from another package')}\n\n"
        text += f"{console.pairs(about)}\n\nfovea {room} VERB --help lists every setting."
        if room in SHORT:
            for_file, for_folder = SHORT[room]
            text += f"\nfovea {room} FILE runs the recipe '{for_file}', on a folder '{for_folder}'."
        console.answer(text, about)
        return 0
    if words[0] not in verbs and room in SHORT and _looks_like_path(words[0]):
        from fovea.runs import command

        for_file, for_folder = SHORT[room]
        from pathlib import Path

        is_folder = Path(words[0]).is_dir()
        return command.short(for_folder if is_folder else for_file, words[0], words[1:])
    if words[0] not in verbs:
        raise ConfigError(
            f"'{words[0]}' is not a verb of {room}.{catalog.nearest(words[0], verbs)} "
            f"Its verbs: {', '.join(verbs)}."
        )
    return _stage(catalog.stage(f"{room}.{words[0]}"), words[1:])


def _looks_like_path(word: str) -> bool:
    """Whether a word that is no verb is meant as a file or a folder."""
    from pathlib import Path

    return "=" not in word and ("." in word or os.sep in word or Path(word).exists())


def _stage(stage: Stage, words: list[str]) -> int:
    from fovea.runs import command

    if any([word] in HELP for word in words):
        from fovea import describe

        options = _options(stage)
        console.answer(describe.help_text(stage, options.format_help()), describe.schema(stage))
        return 0
    resolved, options = _resolve(stage, words)
    catalog.require(stage.name, stage.requires)
    recipe = command.Recipe.single(stage, resolved.config, sources=resolved.sources)
    return command.carry_out(recipe, options)


def _options(stage: Stage) -> ArgumentParser:
    import argparse

    from fovea.runs.command import run_options

    parser = argparse.ArgumentParser(
        parents=[run_options()], add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS
    )
    parser.error = _refused
    group = parser.add_argument_group("where settings come from")
    group.add_argument("--preset", metavar="NAME", help="settings that belong together, by name")
    group.add_argument("--config", action="append", default=[], metavar="FILE", help="a YAML file")
    return parser


def _resolve(stage: Stage, words: list[str]) -> tuple[Resolved, Namespace]:
    from fovea.config import resolve

    options, settings = _options(stage).parse_known_args(words)
    resolved = resolve(
        stage.config,
        name=stage.name,
        preset=options.preset,
        files=options.config,
        arguments=settings,
        positional=stage.positional,
    )
    for note in (*resolved.notes, *catalog.stray_variables(os.environ)):
        console.warn(note)
    return resolved, options


def _refused(message: str) -> NoReturn:
    raise ConfigError(f"{message}; --help shows how it is used.")


def _explain(stage: Stage, words: list[str]) -> None:
    from fovea.config import values
    from fovea.dialect import line

    resolved, _ = _resolve(stage, words)
    rows = [(".".join(map(str, path)), line(value)) for path, value in values(resolved.config)]
    table = [(name, value, resolved.sources[name]) for name, value in rows]
    console.table(("setting", "value", "from"), table)


def _spoken(words: list[str]) -> list[str]:
    """Take the options that every command has out of the words, and obey them."""
    as_json, plain = "--json" in words, "--no-color" in words
    quiet = bool({"-q", "--quiet"} & set(words))
    verbose = bool({"-v", "--verbose"} & set(words))
    console.configure(as_json=as_json, quiet=quiet, verbose=verbose, color=not plain)
    own = {"--json", "--no-color", "-q", "--quiet", "-v", "--verbose"}
    return [word for word in words if word not in own]


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
