"""Webhooks: who is told when jobs end, what they check it with, and how the telling goes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from fovea.service.access import needs
from fovea.service.problems import RESPONSES, not_found
from fovea.service.state import Here, Who
from fovea.service.webhooks.outbox import EVERYBODY, Message
from fovea.service.webhooks.payloads import Event

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], responses=RESPONSES)
ADMIN = [needs("admin")]


class WebhookRequest(BaseModel, extra="forbid"):
    """Who wants to be told of what."""

    event_type: Event
    url: str = Field(min_length=1, max_length=2000)


class WebhookAnswer(BaseModel):
    """What was done."""

    status: Literal["success"] = "success"
    message: str


class WebhookList(BaseModel):
    """Who is told."""

    enabled: bool
    webhooks: dict[Event, str] = Field(description="the first address of each event")
    targets: dict[Event, list[str]] = Field(description="all of them")


class SecretView(BaseModel):
    """What a receiver checks messages with, after Standard Webhooks."""

    secret: str
    former: str | None = Field(description="still signs, too, for a while after a change")


class DeliveryView(BaseModel):
    """A message, and how its sending goes."""

    id: str
    event: str
    task_id: str
    url: str
    state: Literal["waiting", "delivered", "failed"]
    attempt: int
    status: int | None = Field(description="what the receiver answered last")
    error: str | None
    created: datetime
    next_try: datetime | None
    ended: datetime | None

    @classmethod
    def of(cls, message: Message) -> DeliveryView:
        """What is shown of a message."""
        return cls.model_validate(
            vars(message)
            | {
                "task_id": message.job,
                "created": datetime.fromtimestamp(message.created, UTC),
                "next_try": datetime.fromtimestamp(message.next_at, UTC)
                if message.state == "waiting"
                else None,
                "ended": datetime.fromtimestamp(message.ended, UTC) if message.ended else None,
            }
        )


class DeliveryList(BaseModel):
    """The newest messages."""

    deliveries: list[DeliveryView]


@router.get("", dependencies=ADMIN)
def webhooks(here: Here) -> WebhookList:
    """Who is told of what."""
    told = here.webhooks.targets()
    first: dict[Event, str] = {event: urls[0] for event, urls in told.items() if urls}
    return WebhookList(enabled=here.settings.webhook.enabled, webhooks=first, targets=told)


@router.post("", dependencies=ADMIN)
def register(wanted: WebhookRequest, here: Here) -> WebhookAnswer:
    """Tell an address of an event of every job, besides those that are told already."""
    here.webhooks.register(wanted.event_type, wanted.url)
    told = f"{wanted.event_type} is told to {wanted.url}."
    off = "" if here.settings.webhook.enabled else " Nothing is told while webhook.enabled is off."
    return WebhookAnswer(message=told + off)


@router.delete("/{event_type}", dependencies=ADMIN)
def unregister(
    event_type: Event,
    here: Here,
    url: Annotated[str | None, Query(description="this one only; all when left out")] = None,
) -> WebhookAnswer:
    """Tell an address, or all addresses that were registered, no more of an event."""
    removed = here.webhooks.unregister(event_type, url)
    if not removed:
        raise not_found("webhook", url or event_type, "GET /v1/webhooks lists them.")
    plural = "address is" if removed == 1 else "addresses are"
    return WebhookAnswer(message=f"{removed} {plural} told of {event_type} no more.")


@router.get("/deliveries", dependencies=ADMIN)
def deliveries(here: Here, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> DeliveryList:
    """The newest messages and how their sending goes."""
    return DeliveryList(deliveries=[DeliveryView.of(one) for one in here.webhooks.messages(limit)])


@router.get("/secret", dependencies=ADMIN)
def secret(here: Here) -> SecretView:
    """What signs messages to the registered addresses."""
    return _secret(here.webhooks.signing_secrets(EVERYBODY))


@router.post("/secret", dependencies=ADMIN)
def change_secret(here: Here) -> SecretView:
    """Make a new one; messages carry both signatures for a while, so that receivers can follow."""
    here.webhooks.change_secret(EVERYBODY)
    return _secret(here.webhooks.signing_secrets(EVERYBODY))


@router.get("/secret/mine", dependencies=[needs("predict", "jobs:write")])
def my_secret(here: Here, who: Who) -> SecretView:
    """What signs messages to the `webhook_url` of my own requests."""
    return _secret(here.webhooks.signing_secrets(who.owner))


@router.post("/secret/mine", dependencies=[needs("predict", "jobs:write")])
def change_my_secret(here: Here, who: Who) -> SecretView:
    """Make a new one, as above."""
    here.webhooks.change_secret(who.owner)
    return _secret(here.webhooks.signing_secrets(who.owner))


def _secret(found: tuple[str, ...]) -> SecretView:
    return SecretView(secret=found[0], former=found[1] if len(found) > 1 else None)
