"""The file of settings: YAML or JSON, named with `--config`, or `config.yaml` of the folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fovea import dialect
from fovea.dialect import Document
from fovea.errors import ConfigError

NAME = "config.yaml"
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Configuration:
    """What the file says."""

    path: Path
    document: Document | None
    """None where there is no file, or a broken one."""
    notes: tuple[str, ...] = ()


def configuration(named: str | None, folder: Path, *, may_miss: bool = False) -> Configuration:
    """Read the file that was named, else `config.yaml` of the folder where there is one.

    A file that cannot be read as YAML or JSON is not used, and a note says so.

    Args:
        named: on the command line.
        folder: where `config.yaml` is looked for.
        may_miss: whether the file that was named need not be there; auto-tune makes it.

    Raises:
        ConfigError: there is no such file, or it is neither YAML nor JSON by its name.
    """
    path = Path(named) if named else folder / NAME
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise ConfigError(f"--config {path}: settings stand in a file ending in {known}.")
    if not path.is_file():
        if named and not may_miss:
            raise ConfigError(
                f"--config {path}: there is no such file. `fovea serve --enable-auto-tune"
                f" --config {path}` makes one with all defaults."
            )
        return Configuration(path, None)
    try:
        # YAML holds JSON: one reader for both, and every value knows its line.
        return Configuration(path, dialect.load(path))
    except ConfigError as error:
        note = f"{str(error).rstrip('.')}. The file is not used; defaults and flags are."
        return Configuration(path, None, (note,))
