"""Makes the sample data set of image-text rows: drawn pictures, captions good and bad.

    python benchmarks/synth/sample.py src/fovea/samples/imagetext

Everything is drawn by the seed: shapes in colours, captions that tell them, and among the captions
what web data holds: copies, links, mojibake, wrong words, repetition, adverts.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLORS = {
    "red": (200, 40, 40), "green": (40, 150, 60), "blue": (50, 80, 200), "yellow": (230, 200, 50),
    "black": (20, 20, 20), "white": (245, 245, 245),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle")
QUESTIONS = (
    "Describe the image concisely.",
    "What is this?",
    "Give a short and clear explanation of the subsequent image.",
    "Provide a brief description of the given image.",
)
SPOILT = {
    3: "buy now!!! www.shapes.example.com/offer?id=3 free shipping free shipping free shipping",
    7: "a blue square on a yellow ground",
    11: "IMG_20240311_1192.JPG",
    15: "schÃ¶nes Bild eines Kreises â€” a circle",
    19: "shape shape shape shape shape shape shape shape shape shape shape shape",
    23: "circle",
    27: "◆●■ sale ◆●■ 50 % off $$$ %%% !!!",
}
COPIES = {9: 8, 21: 20}
"""Row -> the row whose picture and caption it has once more."""


def picture(shape: str, color: str, ground: str, height: int, width: int) -> Image.Image:
    image = Image.new("RGB", (width, height), COLORS[ground])
    draw = ImageDraw.Draw(image)
    side = int(min(height, width) * 0.6)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    if shape == "circle":
        draw.ellipse(box, fill=COLORS[color])
    elif shape == "square":
        draw.rectangle(box, fill=COLORS[color])
    else:
        draw.polygon([(left, top + side), (left + side, top + side), (width // 2, top)],
                     fill=COLORS[color])  # fmt: skip
    return image


def main(folder: Path) -> None:
    rng = np.random.default_rng(4)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows, llava = [], []
    for number in range(36):
        color, ground = rng.permutation(list(COLORS))[:2]
        shape = SHAPES[number % 3]
        height, width = (int(value) for value in rng.choice([96, 120, 160, 200], 2))
        if number == 31:
            height, width = 40, 400
        path = f"images/{number:03d}.jpg"
        caption = SPOILT.get(number, f"a {color} {shape} in the middle of a {ground} ground")
        made = picture(shape, color, ground, height, width)
        if number in COPIES:
            made = Image.open(folder / f"images/{COPIES[number]:03d}.jpg")
            caption = rows[COPIES[number]]["text"].split("\n")[1].removesuffix(" <|__dj__eoc|>")
        made.save(folder / path, quality=85)
        name = f"{number:06d}"
        rows.append({"id": name, "text": f"<__dj__image>\n{caption} <|__dj__eoc|>",
                     "images": [path]})  # fmt: skip
        question = QUESTIONS[number % len(QUESTIONS)]
        llava.append({"id": name, "image": path, "conversations": [
            {"from": "human", "value": f"<image>\n{question}"},
            {"from": "gpt", "value": caption}]})  # fmt: skip
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "captions.jsonl").write_text(lines, encoding="utf-8")
    text = json.dumps(llava, ensure_ascii=False, indent=1)
    (folder / "llava.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
