"""The twins behind `fovea.scene.rasterize`: `plain` judges, `cpu` is fast, `cuda` is gsplat.

A twin is a module with three functions of the same meaning: `project`, `colors` and `blend`;
    `plain` documents them.
"""
