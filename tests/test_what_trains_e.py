"""E frozen, trained by D, by V, or by both: every row of the table in docs/stages.md, by which weights change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from agents.agent import AlphaAgent, build_agent
from agents.config import AgentConfig, ImitationConfig, ReinforceConfig, ValueConfig
from agents.environments import make_vector, open_stream
from agents.imitation import imitate
from agents.learner import reinforce
from agents.recorder import record_episodes
from agents.values import fit_values
from envs.demonstrations import demonstrate
from envs.episodes import Episodes
from envs.registry import make_world
from envs.vector import observation_space

ENV_ID, OPTIONS = "ValueLab/MultiNeed-v0", {"size": 4, "num_objects": 2, "num_levels": 8}
WORLD = make_world(ENV_ID, **OPTIONS)
FROZEN: dict[str, Any] = {"train_encoder": False}
STAGES = ("imitate", "reinforce", "value")


class Row(NamedTuple):
    """One row of the table: settings, and the stages that change D's E and V's E."""

    regime: str
    imitation: dict[str, Any] = {}
    reinforce: dict[str, Any] = {}
    value: dict[str, Any] = {}
    train_e_of_d: tuple[str, ...] = ()
    train_e_of_v: tuple[str, ...] = ()


TABLE = {
    "nobody": Row("shared", FROZEN, FROZEN, FROZEN),
    "D, and V reads a frozen copy": Row("imitated", train_e_of_d=("imitate", "reinforce")),
    "D, and V reads the same": Row(
        "shared", value=FROZEN, train_e_of_d=("imitate", "reinforce"), train_e_of_v=("imitate", "reinforce")
    ),
    "V, and D reads the same": Row("shared", FROZEN, FROZEN, train_e_of_d=("value",), train_e_of_v=("value",)),
    "both, one after the other": Row("shared", train_e_of_d=STAGES, train_e_of_v=STAGES),
    "both at once": Row("shared", reinforce={"share_value": True}, train_e_of_d=STAGES, train_e_of_v=STAGES),
    "each its own": Row("scratch", train_e_of_d=("imitate", "reinforce"), train_e_of_v=("value",)),
}


@pytest.fixture(scope="module")
def shown() -> Episodes:
    return demonstrate(WORLD, WORLD.levels("train"), num_episodes=200, seed=0, noise=0.2)


def vector(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in module.parameters()])


def after(stage: str, agent: AlphaAgent, row: Row, shown: Episodes) -> AlphaAgent:
    if stage == "imitate":
        return imitate(agent, shown, ImitationConfig(num_updates=3, **row.imitation), seed=0)[0]
    if stage == "reinforce":
        stream = open_stream(make_vector(ENV_ID, 8, options=OPTIONS), agent.spec, seed=0, name="reinforce")
        settings = ReinforceConfig(num_steps=8 * 32 * 2, num_envs=8, rollout_length=32, **row.reinforce)
        return reinforce(agent, stream, settings, discount=0.95, seed=0)[0]
    played = record_episodes(agent, ENV_ID, num_episodes=50, seed=0, options=OPTIONS)
    return fit_values(agent, played, ValueConfig(num_updates=3, **row.value), seed=0)[0]


@pytest.mark.parametrize("name", TABLE)
def test_each_stage_changes_the_weights_that_it_should_and_no_others(name: str, shown: Episodes) -> None:
    row = TABLE[name]
    config = AgentConfig(
        encoder_sizes=(16,), hidden_size=16, num_contexts=2, num_events=2, value_encoder=row.regime,  # type: ignore[arg-type]
    )  # fmt: skip
    agent = build_agent(observation_space(WORLD), 4, config, seed=0, sample=shown.observations)
    for stage in STAGES:
        trained = after(stage, agent, row, shown)
        changed = {
            part: not torch.equal(vector(getattr(agent, part)), vector(getattr(trained, part)))
            for part in ("policy_encoder", "policy_head", "value_encoder", "value_head")
        }
        copied = stage == "value" and row.regime == "imitated"  # V takes D's E as it is then, and leaves it so.
        assert changed["policy_encoder"] == (stage in row.train_e_of_d), stage
        assert changed["value_encoder"] == (stage in row.train_e_of_v or copied), stage
        if copied:
            assert torch.equal(vector(trained.value_encoder), vector(trained.policy_encoder))
        follows = stage == "value" and row.regime == "shared" and stage in row.train_e_of_v
        assert changed["policy_head"] == (stage != "value" or follows), stage
        shares = stage == "reinforce" and bool(row.reinforce.get("share_value"))
        assert changed["value_head"] == (stage == "value" or shares), stage
        agent = trained


def test_the_table_of_the_page_has_these_rows() -> None:
    page = (Path(__file__).parent.parent / "docs" / "stages.md").read_text()
    assert not [name for name in TABLE if f"| {name} |" not in page]
