"""AlphaGo's choice of prior and value: the cells, the contrasts and their words, with sizes made tiny."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from analysis.studies import alphago
from analysis.studies.alphago import QUESTION, Setup, with_value_of
from analysis.studies.alphago_report import NUM_SIMULATIONS, SOURCES, report
from analysis.studies.question import answer
from analysis.study import CellRecord

TINY = Setup(
    num_levels=50, num_demonstrations=50, imitation_updates=20, reinforce_steps=2048, num_outcomes=60, value_updates=20,
    num_episodes=8,
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def record(seed, scores, env_id="ValueLab/MultiNeed-v0"):
    """A finished cell whose returns are scores[prior, value] at any number of simulations."""
    rows = [{"prior": p, "value": "none", "n": 0, "discounted_return": 0.5, "optimum": 0.9} for p in SOURCES]
    rows += [{"prior": "none", "value": v, "n": 0, "discounted_return": 0.4, "optimum": 0.9} for v in SOURCES]
    rows += [
        {"prior": p, "value": v, "n": n, "discounted_return": score + 0.001 * seed, "optimum": 0.9}
        for (p, v), score in scores.items()
        for n in NUM_SIMULATIONS
    ]
    known = {"hash": str(seed), "function": "alphago.play", "config": {"env_id": env_id, "seed": seed}}
    fields = {field.name: None for field in dataclasses.fields(CellRecord)}
    return CellRecord(**(fields | known | {"status": "finished", "rows": rows}))


def words_for(imitated_prior, reinforced_prior, imitated_value, num_seeds=10):
    """What the report says where, at V of the reinforced policy, the priors earn so, and V of the imitated one so."""
    scores = {
        ("imitated", "reinforced"): imitated_prior, ("reinforced", "reinforced"): reinforced_prior,
        ("imitated", "imitated"): imitated_value, ("reinforced", "imitated"): 0.1,
    }  # fmt: skip
    return report([record(seed, scores) for seed in range(num_seeds)]).found


def test_a_planted_difference_is_found_in_its_direction():
    found = words_for(0.8, 0.7, 0.6)
    assert "imitated minus reinforced prior (V of the reinforced policy): +0.100" in found[0]
    assert found[0].endswith("AlphaGo's direction.")
    assert "V of the reinforced minus V of the imitated policy (imitated prior): +0.200" in found[1]
    assert words_for(0.6, 0.7, 0.8)[0].endswith("against AlphaGo's direction.")


def test_a_planted_null_and_few_seeds_give_no_direction():
    assert words_for(0.7, 0.7, 0.7)[0].endswith("undecided.")
    assert "too few for a word" in words_for(0.8, 0.7, 0.6, num_seeds=3)[0]


@pytest.mark.slow
def test_a_tiny_study_runs_and_draws(tmp_path):
    question = dataclasses.replace(QUESTION, cells=lambda seeds: alphago.cells(seeds, TINY))
    found = answer(question, tmp_path, seeds=[0], workers=0)
    assert found.study.exit_code == 0 and len(found.figures) == 2 and all(path.exists() for path in found.figures)
    (row,) = (r for r in found.report.table if r["world"] == "MultiNeed" and r["simulations"] == "16")
    assert set(row) == {"world", "simulations", *(f"prior {p}, V of {v}" for p in SOURCES for v in SOURCES)}


def test_a_value_that_shares_its_encoder_cannot_be_moved():
    from agents.agent import build_agent
    from agents.config import AgentConfig
    from envs import make_world
    from envs.step_buffers import observation_space

    world = make_world("CrossedHistory", size=3)
    agents = {
        regime: build_agent(observation_space(world), 4, AgentConfig(value_encoder=regime), seed=seed)
        for seed, regime in enumerate(("scratch", "shared"))
    }
    with pytest.raises(ValueError, match="scratch"):
        with_value_of(agents["scratch"], agents["shared"])
    donor = build_agent(observation_space(world), 4, AgentConfig(), seed=5)
    mixed, shown = with_value_of(agents["scratch"], donor), world.observe(world.begin([0, 1], [0, 0]))
    with torch.no_grad():
        assert torch.equal(mixed.policy_logits(shown), agents["scratch"].policy_logits(shown))
        assert torch.equal(mixed.value(shown).value, donor.value(shown).value)
