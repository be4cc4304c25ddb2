"""Write the checkpoint of SHARP's form that ships for tests: `src/fovea/samples/sharp/tiny.pt`.

    python benchmarks/speed/tiny_checkpoint.py src/fovea/samples/sharp/tiny.pt

It has every published key, in layers so narrow that the file stays small; its weights are drawn by
the goldens' rule, so that what it predicts is noise. Weights that inference never reads are one
zero seen as many.
"""

import argparse
from pathlib import Path

import torch
from filled_checkpoint import GOLDENS, rule_of

from fovea.photo.model.architecture import Architecture, VitArchitecture
from fovea.photo.model.keys import built_on_meta, public_shapes

ARCHITECTURE = Architecture(
    VitArchitecture(width=32, depth=3, heads=2, image_px=32, patch_px=16, hooks=(0, 1)),
    encoder_widths=(16, 16, 24, 32, 40),
    monodepth_width=16,
    gaussian_width=16,
    feature_width=8,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    path = parser.parse_args().path
    used = built_on_meta(ARCHITECTURE, alignment=False).state_dict()
    rule = rule_of(GOLDENS)
    state = {
        key: torch.from_numpy(rule.fill_tensor(key, shape))
        if key in used
        else torch.zeros(()).expand(shape)
        for key, shape in public_shapes(ARCHITECTURE, classes=10).items()
    }
    torch.save(state, path)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
