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
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ArtifactError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as a checkpoint: {reason} Remove"
            " its folder to go on from the one before."
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
