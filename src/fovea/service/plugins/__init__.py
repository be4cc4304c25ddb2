"""Plugins of predictions: other packages change the photograph, predict, or change the scene.

A package offers one through an entry point; installing the package is all there is to do:

    [project.entry-points."fovea.preprocess"]     fn(pixels, settings) -> pixels
    paint = "paint:brighten"                      uint8 [height, width, 3], sRGB, upright

    [project.entry-points."fovea.predictors"]     fn(settings, device) -> Predictor
    mine = "paint:load"                           see fovea.photo.engine

    [project.entry-points."fovea.postprocess"]    fn(gaussians, settings) -> gaussians
    thin = "paint:thin"                           fovea.scene.gaussians.Gaussians

They run in the job's process, never in the service's. A plugin before or after the network that
breaks is left out, and the task says so; a network that breaks fails its task alone.

    installed    which there are, in which order, with which settings
    stages       the stages in which they run
"""
