"""By how much a search improves a policy, in every state of enumerated worlds.

Each cell: the share of states in which the improved policy is at least as good as the prior, and its mean gain and its
least gain over states, in units of what there is to gain on average, V* - V of the prior.
"""

import numpy as np

from agents.search import SearchConfig
from agents.search.improvement import improvement
from envs import make_world
from envs.enumeration import enumerate_world
from envs.tabular import value_iteration

WORLDS = {
    "CrossedHistory": {"size": 5},
    "CornerMaze": {"size": 5, "corner_size": 2},
    "DiamondGhost": {"overseen_share": 0.2},
    "MultiNeed": {"size": 3, "num_objects": 2, "drift": 0.3, "wrong_cost": 0.1, "continuing": True},
}
SIMULATIONS = (2, 4, 16, 64)
HEADER = "| world | V at the leaves | rule | " + " | ".join(f"n = {n}" for n in SIMULATIONS) + " |"


def main(*, num_levels: int = 20) -> str:
    """The table of docs/search.md, as text."""
    lines = [HEADER, "|---" * (3 + len(SIMULATIONS)) + "|"]
    for name, options in WORLDS.items():
        mdp = enumerate_world(make_world(name, **options), range(num_levels))
        rng = np.random.default_rng(0)
        logits = rng.normal(scale=2.0, size=(mdp.num_states, mdp.num_actions))
        best = value_iteration(mdp).values
        for leaves in ("exact", "off by .1 sd"):
            error = None if leaves == "exact" else 0.1 * best.std() * rng.normal(size=mdp.num_states)
            for rule in ("gumbel", "puct"):
                cells = []
                for n in SIMULATIONS:
                    config = SearchConfig(num_simulations=n, rule=rule)
                    found = improvement(mdp, logits=logits, config=config, value_error=error)
                    gap = float((best - found.before).mean())
                    cells.append(f"{found.share:.1%}, {found.mean_gain / gap:+.2f}, {found.worst / gap:+.2f}")
                lines.append(f"| {name} | {leaves} | {rule} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(main())
