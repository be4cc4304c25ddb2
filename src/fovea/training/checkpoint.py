"""The whole state of a loop as one file: tensors, optimisers, random generators, counters.

A state is a dict of tensors, numbers, texts, lists, tuples and dicts of these. It is read back
without running any code that a file might carry.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from fovea.errors import ArtifactError
from fovea.runs.stage import Context

State = dict[str, Any]
FILE_NAME = "state.pt"
NOT_READ = (
    pickle.UnpicklingError, EOFError, OSError, RuntimeError, ValueError, LookupError, TypeError,
    AttributeError, AssertionError,
)  # fmt: skip
"""What `torch.load` raises where torch did not write the bytes: they drive a small machine."""


def reason(error: BaseException) -> str:
    """Why a file could not be read, in a line: some errors say nothing that a person could use."""
    said = str(error).strip().splitlines()
    return f"{said[0]:.200}" if said and not isinstance(error, LookupError) else "it is damaged"


def save_state(folder: Path, state: State) -> None:
    """Write a state into a checkpoint's folder."""
    torch.save(state, folder / FILE_NAME)


def load_state(folder: Path, *, device: str | torch.device = "cpu") -> State:
    """Read the state in a checkpoint's folder.

    Raises:
        ArtifactError: it is missing, cut short, or holds more than a state may.
    """
    path = folder / FILE_NAME
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise ArtifactError(f"{folder} is not a checkpoint: it holds no {FILE_NAME}.") from error
    except NOT_READ as error:
        raise ArtifactError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as a checkpoint:"
            f" {reason(error)} Remove its folder to go on from the one before."
        ) from error


def read_weights(path: Path, *, mmap: bool = False) -> dict[str, torch.Tensor]:
    """The tensors by name in a file of torch, `.bin` or `.pt`; nothing else in it is run or kept.

    Args:
        path: the file.
        mmap: leave the tensors in the file until they are asked for.

    Raises:
        ArtifactError: it is no such file.
    """
    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        return {str(name): one for name, one in held.items() if isinstance(one, torch.Tensor)}
    except NOT_READ as error:
        raise ArtifactError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as weights: {reason(error)}. It"
            " may be cut short or of another kind; copy or download it again."
        ) from error


def generator(seed: int) -> torch.Generator:
    """A random generator of one's own, on the CPU."""
    return torch.Generator().manual_seed(seed)


def generator_for(context: Context, name: str) -> torch.Generator:
    """The generator of one purpose, on the CPU: what `context.rng(name)` is for NumPy."""
    return generator(int(context.rng(name).integers(2**62)))


def random_state(generators: dict[str, torch.Generator]) -> State:
    """The state of torch's global generator and of each of these, by name."""
    return {"torch": torch.get_rng_state()} | {
        f"generator.{name}": each.get_state() for name, each in generators.items()
    }


def restore_random_state(state: State, generators: dict[str, torch.Generator]) -> None:
    """Bring the generators back to where `random_state` saw them."""
    torch.set_rng_state(state["torch"].cpu())
    for name, each in generators.items():
        each.set_state(state[f"generator.{name}"].cpu())
