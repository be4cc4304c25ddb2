"""What operators that ask a network have in common: its name, device and batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from fovea.config import setting
from fovea.errors import BackendError, DataError
from fovea.synth.batch import Batch
from fovea.synth.models.loading import Kind, network
from fovea.synth.operator import Cost, Operator

Able = TypeVar("Able")
NAMED = "local:FOLDER, hf:NAME, module:FACTORY or a name"


class Asking(Operator):
    """An operator that asks a network."""

    cost: ClassVar[Cost] = "model"
    asks: ClassVar[Mapping[str, Kind[Any]]] = {}
    """Its parameters that name a network, and what each must be able to do."""
    allow_download: bool = setting(False, "whether a network may be fetched from the hub")
    batch_size: int = setting(8, "pairs that a network is asked about at once", ge=1)
    trust_remote_code: bool = setting(False, "taken and without effect: no code of a hub is run")
    accelerator: str = setting("cpu", "device of the network, cpu or cuda", pattern="^(cpu|cuda)$")

    def asked(self, kind: Kind[Able], model: str) -> Able:
        """The network of that name."""
        return network(kind, model, download=self.allow_download, device=self.accelerator)

    def load(self) -> None:
        """Load its networks, once in each process.

        Raises:
            BackendError: one is not named, or cannot be had.
        """
        for parameter, kind in self.asks.items():
            if not getattr(self, parameter):
                raise BackendError(
                    f"{self.name} asks a network, and {parameter} names none. Give {parameter}: "
                    "local:FOLDER, hf:NAME or module:FACTORY."
                )
            self.asked(kind, getattr(self, parameter))

    def in_batches(self, items: Sequence[Any]) -> Iterator[Any]:
        """So many of them at a time as a network is asked about."""
        for start in range(0, len(items), self.batch_size):
            yield items[start : start + self.batch_size]

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

    def decoded(self, batch: Batch, number: int) -> list[Any]:
        """A row's decoded images.

        Raises:
            DataError: one cannot be read.
        """
        return [batch.pictures.decoded(*found) for found in self.pictures(batch, number)]

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
