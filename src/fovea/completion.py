"""`fovea completion SHELL`: what the Tab key is to offer, for bash, zsh and fish.

The shell asks at each Tab, by `fovea completion words -- WORD ...`, so that what it offers are the
stages and settings of this installation. Where nothing is offered, the shell offers files.
"""

from __future__ import annotations

from collections.abc import Callable

from fovea import catalog, console
from fovea.errors import ConfigError

SHELLS = {
    "bash": """\
_fovea() {
    local IFS=$'\\n'
    COMPREPLY=($(fovea completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _fovea fovea""",
    "zsh": """\
#compdef fovea
_fovea() {
    local -a found
    found=(${(f)"$(fovea completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -S '' -- $found; else _files; fi
}
compdef _fovea fovea""",
    "fish": """\
complete -c fovea -a '(fovea completion words -- (commandline -opc)[2..] (commandline -ct))'""",
}
USE = {
    "bash": "fovea completion bash >> ~/.bashrc",
    "zsh": "fovea completion zsh >> ~/.zshrc",
    "fish": "fovea completion fish > ~/.config/fish/completions/fovea.fish",
}


def main(words: list[str]) -> int:
    """`fovea completion bash|zsh|fish`."""
    if words[:1] == ["words"]:
        begun = words[2:] if words[1:2] == ["--"] else words[1:]
        found = offered(begun)
        if found:
            console.answer("\n".join(found), found)
        return 0
    if not words or words[0] in ("-h", "--help"):
        console.answer(console.pairs(USE), USE)
        return 0
    if words[0] not in SHELLS:
        raise ConfigError(
            f"there is no completion for '{words[0]}'.{catalog.nearest(words[0], SHELLS)} "
            f"Shells: {', '.join(SHELLS)}."
        )
    console.answer(SHELLS[words[0]], {"script": SHELLS[words[0]]})
    return 0


def offered(words: list[str]) -> list[str]:
    """What may stand for the last word, which is begun, after those before it."""
    *before, begun = words or [""]
    fitting = (word for word in _choices(before) if word.startswith(begun) and word != begun)
    return list(dict.fromkeys(fitting))


def _choices(before: list[str]) -> list[str]:
    from fovea.cli import ASIDE, COMMANDS

    stages = catalog.stage_names()
    rooms = list(dict.fromkeys(name.partition(".")[0] for name in stages))
    if not before:
        return [*rooms, *COMMANDS, "--help", "--version"]
    first = before[0]
    if first in COMMANDS:
        return _OF_COMMANDS[first](before[1:]) if first in _OF_COMMANDS else []
    if first in rooms and len(before) == 1:
        names = [*stages, *(name.replace(" ", ".") for name in ASIDE)]
        return [verb for room, _, verb in (n.partition(".") for n in names) if room == first]
    name = first if "." in first else ".".join(before[:2])
    return _of_stage(name, before[-1]) if name in stages else []


def _of_stage(name: str, last: str) -> list[str]:
    """Settings and options of a stage; after `--preset` its presets."""
    from fovea.config import fields, presets
    from fovea.runs.command import run_options

    if last == "--preset":
        return list(presets(name))
    settings = [f"{'.'.join(map(str, path))}=" for path, _ in fields(catalog.stage(name).config)]
    options = [flag for action in run_options()._actions for flag in action.option_strings]
    return [*settings, "--preset", "--config", "--help", *options]


def _recipes(before: list[str]) -> list[str]:
    from fovea.config import RECIPES

    return sorted(path.stem for path in RECIPES.glob("*.yaml")) if not before else []


def _config(before: list[str]) -> list[str]:
    from fovea.cli import CONFIG

    if not before:
        return [usage.partition(" ")[0] for usage in CONFIG]
    return catalog.stage_names() if len(before) == 1 else _of_stage(before[1], before[-1])


_OF_COMMANDS: dict[str, Callable[[list[str]], list[str]]] = {
    "run": _recipes,
    "plan": _recipes,
    "config": _config,
    "completion": lambda before: [] if before else list(SHELLS),
}
