"""Studies: have a stage tuned, see how far it is, its trials and its front, stop it, its page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from fovea.service.access import reads_or_writes
from fovea.service.problems import RESPONSES, RefusedError
from fovea.service.state import Here, Who
from fovea.service.studies import Place, Studies, StudyState
from fovea.tuning.history import Record
from fovea.tuning.study import Study

router = APIRouter(
    prefix="/v1/studies", tags=["studies"], responses=RESPONSES, dependencies=[reads_or_writes]
)
PAGE_RULES = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The page as it is served has no script."""


class TrialView(BaseModel):
    """A trial of a study."""

    number: int
    state: str
    values: list[float] = Field(description="of the goals, in their order")
    parameters: dict[str, Any]
    points: dict[int, float | None] = Field(description="the first goal while it ran, by step")
    seconds: float
    failure: str
    message: str
    baseline: bool

    @classmethod
    def of(cls, record: Record) -> TrialView:
        """What is shown of a record."""
        return cls(
            number=record.number,
            state=record.state,
            values=list(record.values),
            parameters=dict(record.parameters),
            points={s: (v if v == v else None) for s, v in record.points.items()},
            seconds=record.seconds,
            failure=record.failure,
            message=record.message,
            baseline=record.is_baseline,
        )


class StudyView(BaseModel):
    """A study, as its caller sees it."""

    id: str
    name: str
    state: StudyState
    stage: str
    goals: list[dict[str, Any]]
    trials: dict[str, int] = Field(description="how many there are of each state")
    budget: int | None
    best: TrialView | None = Field(description="by the first goal")
    created: datetime
    links: dict[str, str]


class StudyList(BaseModel):
    """Studies, the newest first."""

    studies: list[StudyView]


class TrialList(BaseModel):
    """Trials by number, or those of a front by the first goal."""

    trials: list[TrialView]


def studies(here: Here) -> Studies:
    """The studies of the service."""
    return here.studies


TheStudies = Annotated[Studies, Depends(studies)]


def place(id: str, known: TheStudies, who: Who) -> Place:
    """The study named in the address."""
    return known.get(id, who.owner)


ThePlace = Annotated[Place, Depends(place)]


@router.post("", status_code=202)
def create(
    body: Annotated[dict[str, Any], Body(description="a study file, as JSON; its target a stage")],
    known: TheStudies,
    here: Here,
    who: Who,
) -> StudyView:
    """Have a stage tuned. Where a setting takes a file, give its name as for a job."""
    made = known.create(who.owner, body, lambda name: here.find(name, who.owner))
    return _view(made)


@router.get("")
def list_studies(known: TheStudies, who: Who) -> StudyList:
    """The caller's studies, the newest first."""
    return StudyList(studies=[_view(one) for one in known.list(who.owner)])


@router.get("/{id}")
def get(found: ThePlace) -> StudyView:
    """One study."""
    return _view(found)


@router.get("/{id}/trials")
def trials(found: ThePlace) -> TrialList:
    """All its trials."""
    with _opened(found) as study:
        return TrialList(trials=[TrialView.of(record) for record in study.records])


@router.get("/{id}/front")
def front(found: ThePlace) -> TrialList:
    """The trials that no other beats in every goal; of one goal the best."""
    from fovea.tuning import history

    with _opened(found) as study:
        kept = history.front(study.records, study.goals)
        return TrialList(trials=[TrialView.of(record) for record in kept])


@router.post("/{id}/stop", status_code=202)
def stop(found: ThePlace, known: TheStudies) -> StudyView:
    """Let it save and leave."""
    return _view(known.halt(found))


@router.post("/{id}/start", status_code=202)
def start(found: ThePlace, known: TheStudies) -> StudyView:
    """Go on with one that was stopped."""
    return _view(known.go_on(found))


@router.get("/{id}/report", response_class=HTMLResponse)
def report(found: ThePlace, request: Request) -> HTMLResponse:
    """Its page, as it stands now: one file without script."""
    from fovea.tuning.report.page import page
    from fovea.tuning.report.view import View

    with _opened(found) as study:
        text = page(View.of(study), is_light=True)
    return HTMLResponse(text, headers={"Content-Security-Policy": PAGE_RULES})


def _opened(found: Place) -> Study:
    """The study's storage.

    Raises:
        RefusedError: it has none yet.
    """
    if not (found.folder / "study.yaml").is_file():
        raise RefusedError(
            409, "not_begun", f"{found.id} is {found.state} and has no trials yet. Ask again later."
        )
    return Study.open(found.folder)


def _view(found: Place) -> StudyView:
    from fovea.tuning.definition import read

    file = read(found.folder / "asked.yaml")
    records: list[Record] = []
    best: Record | None = None
    if (found.folder / "study.yaml").is_file():
        with Study.open(found.folder) as study:
            records, best = study.records, study.best
    states = [record.state for record in records]
    base = f"/v1/studies/{found.id}"
    links = {name: f"{base}/{name}" for name in ("trials", "front", "stop", "start", "report")}
    return StudyView(
        id=found.id,
        name=file.study,
        state=found.state,
        stage=file.target.stage or "",
        goals=[goal.model_dump(mode="json") for goal in file.goals],
        trials={state: states.count(state) for state in dict.fromkeys(states)},
        budget=file.budget.trials,
        best=TrialView.of(best) if best else None,
        created=datetime.fromtimestamp(found.note["created"], UTC),
        links={"self": base} | links,
    )
