"""Word lists: short ones that ship, and a person's own.

A list is a JSON file `{language: [words]}` whose name holds `stopwords` or `flagged_words`.
"""

from __future__ import annotations

import json
from pathlib import Path

from fovea.errors import ConfigError

SHIPPED = Path(__file__).parent / "words"


def word_list(kind: str, language: str, folder: str | None) -> frozenset[str]:
    """The words of a language; of `all`, those of every language.

    Args:
        kind: `stopwords` or `flagged_words`.
        language: `en`, `zh` or `all`.
        folder: of the person's own lists; None takes those that ship.

    Raises:
        ConfigError: there is no such list, or none of the language.
    """
    root = Path(folder) if folder else SHIPPED
    files = [path for path in sorted(root.glob("*.json")) if kind in path.name]
    if not files:
        raise ConfigError(
            f"a list of {kind} is wanted, and {root} has no *{kind}*.json. Put one there, as"
            ' {"en": ["word", ...]}, or leave the folder out for the list that ships.'
        )
    lists: dict[str, list[str]] = {}
    for path in files:
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path} is no JSON: {error}. Mend it.") from error
        for name, words in read.items():
            lists.setdefault(name, []).extend(words)
    if language == "all":
        return frozenset(word for words in lists.values() for word in words)
    if language not in lists:
        raise ConfigError(
            f"there is no list of {kind} for '{language}' in {root}; there is"
            f" {', '.join(lists)}. Choose one, or bring a list of your own."
        )
    return frozenset(lists[language])
