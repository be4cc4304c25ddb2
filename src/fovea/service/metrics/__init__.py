"""Figures for Prometheus: what is counted, and under which names.

figures     the figures themselves
requests    counts every request, by the template of its address
gpus        what NVIDIA's management library says of the cards, through nvidia-smi
"""

from __future__ import annotations

from fovea.service.metrics.figures import Metrics

__all__ = ["Metrics"]
