"""`fovea tune plan`: check a study file and show what it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fovea import console
from fovea.tuning.verbs import VERBS, words
from fovea.tuning.verbs.said import written

if TYPE_CHECKING:
    from fovea.tuning.plan import Plan

EXAMPLES = 5
"""How many configs are shown."""


def main(arguments: list[str]) -> int:
    """Show the method, the space and the first configs; run nothing."""
    parser = words.parser("plan", VERBS["plan"].summary)
    words.add_study(parser)
    options = parser.parse_intermixed_args(arguments)
    plan = words.load_plan(options)
    from fovea.tuning import sampler, trial

    chosen = sampler.choose(
        plan.file.search,
        plan.space,
        goals=len(plan.goals),
        budget=plan.file.budget,
        seconds_a_trial=None,
    )
    examples = _examples(plan, chosen.method)
    facts = _facts(plan, chosen)
    space = [
        (p.name, str(p.domain), " and ".join(c.text for c in p.when)) for p in plan.space.parameters
    ]
    lines = [console.pairs(facts), "", console.aligned([("PARAMETER", "RANGE", "WHEN"), *space])]
    lines += ["", *[f"note: {note}" for note in plan.notes], "", "The first trials would be:"]
    lines += [f"  {written(values)}" for values in examples]
    configs = [trial.shown(plan, values) for values in examples]
    console.answer("\n".join(lines), facts | {"examples": examples, "configs": configs})
    return 0


def _facts(plan: Plan, chosen: Any) -> dict[str, str]:
    from fovea.tuning import pruner, sampler

    rule = pruner.method_of(plan.file.prune, goals=len(plan.goals))
    budget = plan.file.budget
    facts = {
        "study": f"{plan.file.study}, of {plan.use}",
        "goal": ", ".join(f"{'max' if g.is_max else 'min'} {g.metric}" for g in plan.goals),
        "method": f"{chosen.method} ({chosen.reason})",
        "pruning": "; ".join([rule, *pruner.brackets(plan.file.prune)]),
        "budget": f"{budget.trials or 'no limit of'} trials"
        + (f", {budget.timeout:g} s" if budget.timeout else ""),
        "baseline": str(plan.baseline) if plan.baseline else "none",
    }
    if chosen.method == "grid":
        facts["grid"] = f"{sampler.grid_size(plan.space, most=10**6)} combinations"
    return facts


def _examples(plan: Plan, method: str) -> list[dict[str, Any]]:
    """The parameters of the first trials, without running them."""
    from fovea.tuning import sampler, storage

    found = [plan.baseline] if plan.baseline else []
    if method == "grid":
        found += list(plan.space.combinations())[:EXAMPLES]
    while len(found) < EXAMPLES and method != "grid":
        index, goals = len(found), len(plan.goals)
        chosen = sampler.build(method, plan.file.search, plan.space, goals=goals, index=index)
        values = plan.space.suggest(storage.in_memory(goals, chosen).ask())
        found.append(plan.space.asked(values))
    return found
