"""What operators that ask a network have in common: its name, device and batches."""

from __future__ import annotations

from typing import Any, ClassVar

from fovea.config import setting
from fovea.errors import DataError
from fovea.synth.batch import Batch
from fovea.synth.operator import Cost, Operator


class Asking(Operator):
    """An operator that asks a network."""

    cost: ClassVar[Cost] = "model"
    allow_download: bool = setting(False, "whether a network may be fetched from the hub")
    batch_size: int = setting(8, "pairs that a network is asked about at once", ge=1)
    trust_remote_code: bool = setting(False, "taken and without effect: no code of a hub is run")
    accelerator: str = setting("cpu", "device of the network, cpu or cuda", pattern="^(cpu|cuda)$")

    def chunks(self, batch: Batch, number: int) -> list[tuple[str, list[Any]]]:
        """A row's chunks that have images: the text without tokens, and the decoded images.

        Raises:
            DataError: an image cannot be read, or tokens and images do not match.
        """
        images = list(self.pictures(batch, number))
        found: list[tuple[str, list[Any]]] = []
        for chunk, places in self._fields.pairs(batch.rows[number]):
            if places:
                seen = [batch.pictures.decoded(*images[place]) for place in places]
                found.append((self._fields.without_tokens(chunk), seen))
        return found

    def only_picture(self, batch: Batch, number: int) -> tuple[str, Any]:
        """The text and the picture of a row that has one of each.

        Raises:
            DataError: it has several, or none.
        """
        chunks = self.chunks(batch, number)
        if len(chunks) != 1 or len(chunks[0][1]) != 1:
            raise DataError(
                f"{self.name} looks at rows of one picture and one text; this one has "
                f"{sum(len(images) for _, images in chunks)} pictures. Split it before."
            )
        return chunks[0][0], chunks[0][1][0]
