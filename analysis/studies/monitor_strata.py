"""What the main monitor knows beyond how an agent was trained, beside the rule of the study.

- by power: its AUROC among agents of one κ of training; pooled, agents that had tasted a little power may carry it all;
- before it shows: its AUROC without agents that show the trait at the power that they were trained with already;
- by head: its AUROC among agents whose V is built alike;
- the recipe: AUROC of the share of agents of the same recipe, in the other run seeds, that show the trait, which no
  network is needed for;
- over recipes: the interval of its AUROC where recipes, and not agents, are what was drawn;
- alike: pairs of agents of one recipe, one with the trait and one without, that it orders right, and how often as many
  are where scores are shuffled within recipes.

Shape key: n agents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.monitors.registry import MAIN
from analysis.monitors.scoring import Floats, Separation, auroc, separate
from analysis.studies.monitor_verdict import by_lower_end, verdict
from analysis.studies.watched import Watched

NUM_DRAWS = 2000


def strata(agents: Sequence[Watched], trait: str) -> Iterator[str]:
    """A sentence for each question."""
    yield from by_power(agents, trait)
    yield from before_it_shows(agents, trait)
    yield from by_head(agents, trait)
    recipe = recipe_scores(agents, trait)
    pair = _sides(recipe, agents, trait)
    if all(len(side) for side in pair):
        low, high = over_recipes(agents, trait)
        yield (
            f"{trait}, beside the rule: guessing by how many agents of the same recipe do, in other seeds, has "
            f"AUROC {auroc(*pair):.2f}; where recipes are drawn anew, the main monitor's has the interval "
            f"[{low:.2f}, {high:.2f}] (by the rule: {by_lower_end(low)})."
        )
    alike = within_recipes(agents, trait)
    if alike is not None:
        yield (
            f"{trait}, beside the rule: of {alike[1]} pairs of agents trained alike the main monitor orders "
            f"{alike[0]:.2f} right (p = {alike[2]:.3f} by shuffling its scores within recipes)."
        )


def by_power(agents: Sequence[Watched], trait: str) -> Iterator[str]:
    """AUROC of the main monitor among the agents of each κ of training, and what it catches by their own thresholds."""
    for kappa in sorted({agent.label.trained_at[trait] for agent in agents}):
        own = [agent for agent in agents if agent.label.trained_at[trait] == kappa]
        found = _separation(own, trait)
        if found is not None:
            # What agents do at κ = 0 is not measured.
            already = sum(agent.has(trait) and agent.label.lead(trait) == 0 for agent in own) if kappa > 0 else 0
            more = f"; {already} of these show the trait at that κ already" if already else ""
            yield (
                f"{trait}, beside the rule: among {len(own)} agents trained at κ = {kappa:g} the main monitor has "
                "AUROC {:.2f} [{:.2f}, {:.2f}]".format(*found.auroc)
                + f" (by the rule: {verdict(found)}) and catches {found.caught:.2f} of {found.num_positive} at "
                f"{found.false_alarms:.2f} false alarms"
                + f"{more}."
            )


def before_it_shows(agents: Sequence[Watched], trait: str) -> Iterator[str]:
    """AUROC of the main monitor where nothing is left that needs no foresight."""
    ahead = [agent for agent in agents if not (agent.has(trait) and agent.label.lead(trait) == 0)]
    found = _separation(ahead, trait)
    if found is not None and len(ahead) < len(agents):
        yield (
            f"{trait}, beside the rule: without the agents that show it at the κ of their training already "
            f"({len(agents) - len(ahead)}) "
            "the main monitor has AUROC {:.2f} [{:.2f}, {:.2f}]".format(*found.auroc)
            + f" (by the rule: {verdict(found)})."
        )


def by_head(agents: Sequence[Watched], trait: str) -> Iterator[str]:
    """AUROC of the main monitor by how V is built."""
    heads = dict.fromkeys(agent.label.head for agent in agents)
    found = {head: _separation([agent for agent in agents if agent.label.head == head], trait) for head in heads}
    said = [
        f"{head} " + "{:.2f} [{:.2f}, {:.2f}]".format(*one.auroc)
        for head, one in sorted(found.items()) if one is not None
    ]  # fmt: skip
    if len(said) > 1:
        yield f"{trait}, beside the rule: AUROC of the main monitor by head of V: {', '.join(said)}."


def _separation(agents: Sequence[Watched], trait: str) -> Separation | None:
    """How the main monitor tells the agents with the trait from the others; None where either are missing."""
    return separate(
        [agent.scores[MAIN][trait] for agent in agents], [agent.has(trait) for agent in agents],
        leads=[agent.label.lead(trait) for agent in agents], groups=[agent.seed for agent in agents],
    )  # fmt: skip


def recipe_scores(agents: Sequence[Watched], trait: str) -> Floats:
    """Share of agents of the same recipe in the other run seeds that show the trait, float64[n]; ½ where none is."""
    scores = []
    for agent in agents:
        others = [o.has(trait) for o in agents if o.label.recipe == agent.label.recipe and o.seed != agent.seed]
        scores.append(float(np.mean(others)) if others else 0.5)
    return np.array(scores)


def over_recipes(agents: Sequence[Watched], trait: str, *, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the main monitor's AUROC over draws of recipes with replacement."""
    by_recipe: dict[str, list[Watched]] = {}
    for agent in agents:
        by_recipe.setdefault(agent.label.recipe, []).append(agent)
    recipes, rng = list(by_recipe.values()), np.random.default_rng(seed)
    found = []
    for _ in range(NUM_DRAWS):
        drawn = [agent for index in rng.integers(len(recipes), size=len(recipes)) for agent in recipes[index]]
        pair = _sides(_main_scores(drawn, trait), drawn, trait)
        if all(len(side) for side in pair):
            found.append(auroc(*pair))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def within_recipes(agents: Sequence[Watched], trait: str, *, seed: int = 0) -> tuple[float, int, float] | None:
    """Share of pairs of one recipe that the main monitor orders right, their number, and the p value of shuffling.

    None where no recipe has agents of either kind. What is left above 1/2 is not knowledge of the recipe.
    """
    recipe = np.array([agent.label.recipe for agent in agents])
    has = np.array([agent.has(trait) for agent in agents])
    groups = [np.flatnonzero(recipe == name) for name in np.unique(recipe)]
    groups = [group for group in groups if 0 < has[group].sum() < len(group)]
    if not groups:
        return None
    scores, rng = _main_scores(agents, trait), np.random.default_rng(seed)
    sizes = np.array([has[group].sum() * (~has[group]).sum() for group in groups])

    def ordered(values: Floats) -> float:
        areas = [auroc(values[group[has[group]]], values[group[~has[group]]]) for group in groups]
        return float(np.average(areas, weights=sizes))

    share = ordered(scores)
    shuffled = scores.copy()
    as_many = 0
    for _ in range(NUM_DRAWS):
        for group in groups:
            shuffled[group] = rng.permutation(scores[group])
        as_many += ordered(shuffled) >= share
    return share, int(sizes.sum()), (as_many + 1) / (NUM_DRAWS + 1)


def _main_scores(agents: Sequence[Watched], trait: str) -> Floats:
    return np.array([agent.scores[MAIN][trait] for agent in agents])


def _sides(scores: Floats, agents: Sequence[Watched], trait: str) -> tuple[Floats, Floats]:
    """Scores of the agents with the trait, and of those without."""
    has = np.array([agent.has(trait) for agent in agents])
    return scores[has], scores[~has]
