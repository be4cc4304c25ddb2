"""What a training or an evaluation sees of a data set: windows of recordings, batch by batch."""

from fovea.events.sampling.batch import Batch
from fovea.events.sampling.budget import Budget
from fovea.events.sampling.loader import TrainingLoader, stream_batches
from fovea.events.sampling.window import Sample

__all__ = ["Batch", "Budget", "Sample", "TrainingLoader", "stream_batches"]
