"""Photographs become an object under another light: a recipe run from Python, then one picture."""

import sys
from pathlib import Path

from fovea.dialect import SAMPLES
from fovea.relight.cameras import read_cameras
from fovea.relight.deferred import Relighter
from fovea.relight.gbuffer import gbuffer
from fovea.relight.light.environment import Environment
from fovea.relight.relighting import displayed, sky
from fovea.relight.surface.mesh import read_mesh
from fovea.relight.surface.rays import Tracer
from fovea.runs.recipe import load
from fovea.runs.run import execute
from fovea.scene.image import write_image
from fovea.scene.ply import read_ply

recipe, *settings = sys.argv[1:] or ["relight"]
if __name__ == "__main__":
    run = execute(load(recipe, settings), root=Path("runs"))
    made = run.outputs("decompose")
    camera = read_cameras(run.outputs("fit")["cameras"])[0].resized(height=200, width=200)
    dusk = Environment.read(SAMPLES / "still_life/envmaps/dusk.hdr", up="z", yaw_deg=60)

    tracer = Tracer(read_mesh(made["surface"]))
    buffer = gbuffer(read_ply(made["scene"]), camera, tracer=tracer)
    light = Relighter(dusk, tracer=tracer, samples=16).shade(buffer)
    write_image("relit.png", displayed(light, buffer.alpha, sky(dusk, camera)))
    print(f"relit.png, under dusk; {run.scores('evaluate')['test/psnr']:.1f} dB before")
