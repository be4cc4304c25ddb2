"""A client of the service: photographs out, scenes in.

    from fovea.client import Client

    with Client("http://127.0.0.1:8000") as client:
        task = client.submit("me.jpg", format="sog")
        for event in client.events(task):
            print(event.kind, event.data)
        client.download(client.wait(task), "me.sog")

Any stage or recipe is asked for with `client.job("relight.fit", {"data": "samples/still_life"})`.
It needs nothing but Python's own library.
"""

from __future__ import annotations

from fovea.client.client import Client
from fovea.client.connection import ServiceError
from fovea.client.objects import Batch, BatchItem, Event, Health, Job, Options, Task, Upload

__all__ = [
    "Batch", "BatchItem", "Client", "Event", "Health", "Job", "Options", "ServiceError", "Task",
    "Upload",
]  # fmt: skip
