"""What can go wrong, as a tree, and how it is said.

    FoveaError                  exit 1   anything a person can mend; all else is a bug of ours
    ├── ConfigError                  2   a setting is misspelt, of the wrong type or out of bounds
    ├── RecipeError                  2   the stages of a recipe do not join
    ├── ArtifactError                2   a file or folder is not what its kind says
    ├── DataError                    2   the data inside it cannot be used
    ├── BackendError                 3   a package, a device, a model file or a command is missing
    └── JobError                     1   the work itself failed
        ├── BusyError               75   somebody else holds it now; the same call works later
        └── StoppedError           130   it was asked to stop, and has saved what it had

A message says what was wanted, what was found with the value, where, and what to do next. The
command line prints it as its sentence and leaves with the number above; the service sends it as a
problem body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


class FoveaError(Exception):
    """An error that the person at the keyboard can mend. Its text is the whole message."""

    exit_code: ClassVar[int] = 1
    code: str = "error"
    """A stable word for the kind of error; one class may serve several."""


@dataclass(frozen=True)
class Problem:
    """One setting that is not valid, as the command line and the service both show it."""

    loc: str
    """The dotted path of the setting, `optimizer.means_rate`."""
    code: str
    """A stable word for the kind of problem, `unknown` or `greater_than`."""
    message: str
    input: Any = None
    source: str = ""
    """Where the value came from: `bear.yaml:14`, `env FOVEA_X`, `--iterations`."""


class ConfigError(FoveaError):
    """One or more settings are wrong. All of them are listed at once."""

    exit_code = 2
    code = "config"

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class RecipeError(FoveaError):
    """The stages of a recipe do not join."""

    exit_code = 2
    code = "recipe"


class ArtifactError(FoveaError):
    """A file or folder is missing, damaged, or of another kind than was asked for."""

    exit_code = 2
    code = "artifact"


class DataError(FoveaError):
    """The data was found and read, and cannot be used as it is."""

    exit_code = 2
    code = "data"


class BackendError(FoveaError):
    """A package, a device, a model file or a command that this needs is missing."""

    exit_code = 3
    code = "backend"


class JobError(FoveaError):
    """The work itself failed: a full disk, memory that ran out, a child that died."""

    exit_code = 1
    code = "job"


class BusyError(JobError):
    """Somebody else holds what this needs. The same call works once they are done."""

    exit_code = 75
    code = "busy"


class StoppedError(JobError):
    """The work was asked to stop and has saved what it had. The same call goes on from there."""

    exit_code = 130
    code = "stopped"
