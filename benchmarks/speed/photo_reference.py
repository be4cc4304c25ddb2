"""One run of the public SHARP predictor, in parts; `photo.py` starts it with that project's Python.

    PYTHONPATH=SRC python photo_reference.py WEIGHTS PICTURE FOLDER THREADS

It calls the same functions as its command line, in the same order, and prints one line of JSON.
"""

import json
import sys
import time
from pathlib import Path

import torch
from sharp.cli.predict import predict_image
from sharp.models import PredictorParams, create_predictor
from sharp.utils import gaussians as scenes
from sharp.utils import io

spent: dict[str, dict[str, float]] = {}


class Part:
    """Adds the time spent inside to a part of that name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.start = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        cpu, wall = self.start
        spent[self.name] = {
            "cpu_s": time.process_time() - cpu,
            "wall_s": time.perf_counter() - wall,
        }


def main() -> None:
    weights, picture, folder, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    with Part("load"):
        state = torch.load(weights, weights_only=True)
        predictor = create_predictor(PredictorParams())
        predictor.load_state_dict(state)
        predictor.eval()
    image, _, focal_px = io.load_rgb(Path(picture))
    forward = predictor.forward

    def timed(*given: torch.Tensor) -> object:
        with Part("network"):
            return forward(*given)

    predictor.forward = timed
    with Part("predict"):
        found = predict_image(predictor, image, focal_px, torch.device("cpu"))
    spent["after"] = {
        key: spent["predict"][key] - spent["network"][key] for key in ("cpu_s", "wall_s")
    }
    del spent["predict"]
    path = Path(folder) / "reference.ply"
    with Part("write"):
        scenes.save_ply(found, focal_px, image.shape[:2], path)
    sys.stdout.write(json.dumps({"parts": spent, "scene": str(path)}) + "\n")


if __name__ == "__main__":
    main()
