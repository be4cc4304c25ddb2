"""Write a checkpoint with SHARP's public keys and shapes, filled by the goldens' rule.

    python benchmarks/speed/filled_checkpoint.py PATH [--size full|thin|tiny] [--goldens FOLDER]

No trained weight is in it: what it predicts looks like noise, costs what the public file costs, and
is what the golden arrays were made with. PATH ends in .pt or .safetensors.
"""

import argparse
import importlib.util
import json
import time
from pathlib import Path
from types import ModuleType

import torch

GOLDENS = Path(__file__).parents[2] / "tests" / "goldens" / "sharp"


def shapes_of(folder: Path, size: str) -> dict[str, tuple[int, ...]]:
    """Every key of that network with its shape, in the order of the file."""
    if size == "full":
        listed = json.loads((folder / "state_dict.json").read_text())["state_dict"]
        return {key: tuple(entry["shape"]) for key, entry in listed.items()}
    listed = json.loads((folder / f"{size}_state_shapes.json").read_text())
    return {key: tuple(shape) for key, shape in listed.items()}


def rule_of(folder: Path) -> ModuleType:
    """The goldens' own `fill.py`."""
    spec = importlib.util.spec_from_file_location("sharp_fill", folder / "fill.py")
    assert spec is not None, "a path that ends in .py always has a loader"
    assert spec.loader is not None, "as above"
    rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule)
    return rule


def filled(folder: Path, size: str) -> dict[str, torch.Tensor]:
    """The state dict: a value for each key, the same on every machine."""
    rule = rule_of(folder)
    return {
        key: torch.from_numpy(rule.fill_tensor(key, shape))
        for key, shape in shapes_of(folder, size).items()
    }


def write(path: Path, state: dict[str, torch.Tensor]) -> None:
    """Save the state dict in the format that the suffix names."""
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        torch.save(state, path)


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--size", choices=("full", "thin", "tiny"), default="full")
    parser.add_argument("--goldens", type=Path, default=GOLDENS)
    options = parser.parse_args()
    started = time.perf_counter()
    write(options.path, filled(options.goldens, options.size))
    seconds = time.perf_counter() - started
    print(f"{options.path}: {options.path.stat().st_size:,} bytes in {seconds:.1f} s")


if __name__ == "__main__":
    main()
