"""Trials whose process is gone: what it left is ended, and they are tried again.

Of this machine's processes one sees whether they live; of another's one only knows how long they
have said nothing, where the storage has a heartbeat.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from fovea.runs.lock import boot_id
from fovea.tuning import owners, queue
from fovea.tuning import trial as trials
from fovea.tuning.heartbeat import GRACE_S
from fovea.tuning.history import Record
from fovea.tuning.outcome import Outcome

if TYPE_CHECKING:
    from fovea.tuning.study import Study

_log = logging.getLogger(__name__)


def recover(study: Study, why: str = "worker_lost") -> list[Record]:
    """Take up trials whose process was lost; gives all trials as they are then.

    One that had come to its end, and was killed before it could say so, is told as it ended. All
    others fail for the reason given, and what is tried again after a failure is queued.
    """
    store = study.store
    store.fail_stale()
    records = store.records
    has_changed = False
    for record in records:
        if record.state != "running" or not is_lost(study, record):
            continue
        folder = study.trial_folder(record) if record.folder else None
        owner = record.about.get("owner", {})
        if folder is not None and owners.is_near(owner) and owner.get("boot_id") == boot_id():
            trials.end_lost(folder)  # after another start of the machine nothing is left
        ended = trials.answered(folder, record.number, study.id) if folder else None
        if ended is None:
            ended = Outcome("failed", failure=why, message="its process was lost")
        _log.info("trial %s was found without its process: %s", record.number, ended.state)
        store.tell(record.number, ended, record.about)
        has_changed = True
    records = store.records if has_changed else records
    return store.records if queue.due(study, study.file, records) else records


def is_lost(study: Study, record: Record) -> bool:
    """Whether nobody works on a running trial any more, for certain."""
    owner = record.about.get("owner", {})
    is_local = study.store.address.is_local
    if not owner and not is_local:
        # Killed between asking and saying who it is; or it is about to say so.
        return record.started is not None and time.time() - record.started > GRACE_S
    return owners.is_gone(owner, on_one_machine=is_local)
