"""One search from one state, as text and as a picture: what was tried, how often, and what it was found to be worth."""

from pathlib import Path

import numpy as np

from agents.search import SearchConfig, TableEvaluator, search
from agents.search.reading import tree_text
from analysis.plots.search_tree import draw_tree
from analysis.plots.style import save_figure
from envs import make_world
from envs.enumeration import enumerate_world
from envs.render import render_ansi
from envs.tabular import value_iteration


def main(out: Path, *, num_simulations: int = 24) -> str:
    """Write `search_tree.png` into a folder and return the tree as text."""
    world = make_world("ValueLab/MultiNeed-v0", size=3, num_objects=1, drift=0.5)
    mdp = enumerate_world(world, [0])
    prior = np.tile(np.log([0.4, 0.3, 0.2, 0.1]), (mdp.num_states, 1))
    evaluator = TableEvaluator(mdp, logits=prior, values=value_iteration(mdp).values)
    rows = world.begin([0], [0])
    found = search(world, rows, evaluator, config=SearchConfig(num_simulations=num_simulations))
    title = f"{num_simulations} simulations from one state of MultiNeed, whose object drifts"
    subtitle = (
        "circles: states, as large as their visits (in brackets); white squares: the end; dashed: chance decides;\n"
        "black: the path of most visits"
    )
    figure = draw_tree(found, action_names=world.action_names, title=title, subtitle=subtitle, max_nodes=40)
    save_figure(figure, Path(out) / "search_tree.png")
    return f"{render_ansi(world, rows[0])}\n\n{tree_text(found, action_names=world.action_names, max_depth=2)}"


if __name__ == "__main__":
    print(main(Path("runs/explain-a-search")))
