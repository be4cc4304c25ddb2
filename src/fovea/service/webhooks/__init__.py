"""Telling other machines that a job has ended.

    targets     who may be told: public addresses, and the one that was checked is the one called
    outbox      messages in a table beside the jobs, written when a job ends, whoever runs it
    postman     a thread that sends them, again and again until they are taken or too old
    payloads    what they say

Messages follow Standard Webhooks (`webhook-id`, `-timestamp`, `-signature`), and carry the event
and the time in `X-Webhook-Event` and `X-Webhook-Timestamp`, too.
"""

from __future__ import annotations

from fovea.service.webhooks.outbox import EVENTS, Event, Message, Outbox
from fovea.service.webhooks.postman import Postman
from fovea.service.webhooks.targets import Target, check, pinned

__all__ = ["EVENTS", "Event", "Message", "Outbox", "Postman", "Target", "check", "pinned"]
