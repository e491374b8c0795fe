"""What a run keeps of V's training, and the instrument `training` that reads it."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from agents.agent import build_agent, restart_value
from agents.checkpoint import agent_tensors, load_agent, save_agent
from agents.config import AgentConfig, ImitationConfig, TrainConfig, ValueConfig
from agents.environments import make_vector
from agents.history import HISTORY, marks_of, read_history
from agents.train import train
from analysis.instruments.context import swap_effect
from analysis.instruments.tails import unit_shapes
from analysis.probe import probe_run
from analysis.probing.collecting import Collection, collect
from analysis.probing.instrument import Settings
from analysis.probing.material import NotApplicable
from analysis.probing.readability import value_layers
from analysis.probing.registry import instrument
from analysis.runs import open_run
from envs.errors import UserError

ENV_ID, OPTIONS = "ValueLab/MultiNeed-v0", {"size": 4, "num_objects": 2, "num_levels": 40}
CONFIG = TrainConfig(
    agent=AgentConfig(encoder_sizes=(24, 12), hidden_size=16), stages=("imitate", "value"),
    imitation=ImitationConfig(num_updates=60, batch_size=64), num_demonstrations=200, num_evaluation_episodes=4,
    value=ValueConfig(num_updates=600, num_episodes=300, learning_rate=1e-2), device="cpu",
)  # fmt: skip
INSTRUMENT = instrument("training")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("training") / "run"
    train(ENV_ID, CONFIG, folder, options=OPTIONS)
    return folder


def material_of(folder):
    agent, amounts = load_agent(folder / "checkpoint")[0], Collection(num_episodes=150, max_rows=1500, num_levels=40)
    return dataclasses.replace(collect(agent, ENV_ID, seed=3, collection=amounts, options=OPTIONS), run=folder)


@pytest.fixture(scope="module")
def finding(run, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALUELAB_CACHE", str(tmp_path_factory.mktemp("controls")))
        yield INSTRUMENT.measure(material_of(run), Settings(seed=0, num_rows=600))


def same_weights(one, other):
    pairs = zip(agent_tensors(one).items(), agent_tensors(other).items(), strict=True)
    return all(name == twin and torch.equal(tensor, there) for (name, tensor), (twin, there) in pairs)


def test_a_run_keeps_v_as_it_begins_at_ten_marks_and_as_it_ends(run):
    kept, trained = read_history(run), load_agent(run / "checkpoint")[0]
    assert list(kept) == list(range(0, 601, 60))
    assert same_weights(kept[600], trained) and same_weights(kept[0], restart_value(trained))
    assert open_run(run / HISTORY / "0000060").env_id == ENV_ID, "each can be probed and evaluated by itself"


def test_none_is_kept_where_none_is_wanted(tmp_path):
    short = dataclasses.replace(CONFIG, keep_history=False, stages=("value",))
    train(ENV_ID, dataclasses.replace(short, value=ValueConfig(num_updates=2, num_episodes=4)), tmp_path / "run")
    assert not (tmp_path / "run" / HISTORY).exists() and read_history(tmp_path / "run") == {}


def test_the_marks_of_a_run_begin_blind_to_the_context_and_end_as_its_agent(run, finding):
    """The planted null is V as it begins, whose swaps move it by nothing of V*'s; the last mark is the agent itself."""
    steps = [row["step"] for row in finding.rows]
    assert sorted(set(steps)) == list(range(0, 601, 60)) and len(steps) == 22
    first, last = finding.rows[0], finding.rows[-1]
    assert abs(first["slope"]) < 0.2 < 0.5 < last["slope"]
    material = material_of(run)
    table, agent = material.require_table(), material.agent
    assert last["slope"] == swap_effect(table.values_of(agent), table.optimal, seed=0, groups=table.groups).slope
    assert finding.numbers["slope of swaps, at the end"] == last["slope"]
    text = " ".join(finding.found)
    phrases = ("Swapping the context moves V by", "by chance", "raw observation", "as V begins", "median exponent of")
    assert all(phrase in text for phrase in phrases), "with its nulls, and all that was asked"
    assert list(finding.figures) == ["training", "training_exponents"]


def test_every_unit_that_can_be_read_has_its_exponent_at_every_mark(run, finding):
    """The last mark is the agent itself, so that its units are those that `tails` reads."""
    sample = material_of(run).visited.first(600)
    held, last = value_layers(sample.trained), finding.rows[-2:]
    for row in last:
        shapes = unit_shapes(held[row["layer"]], sample.states.groups, seed=0)
        assert list(row["units"]) == [shape.unit for shape in shapes] and len(shapes) > 1
        assert list(row["unit_betas"]) == [shape.beta for shape in shapes]
        ends = zip(row["unit_beta_lows"], row["unit_beta_highs"], strict=True)
        assert list(ends) == [shape.beta_interval for shape in shapes]
        assert row["beta"] == np.median(row["unit_betas"])
    assert not {"units", "unit_betas"} & set(finding.columns), "in the tables of files, not in the terminal"
    assert {row["layer"] for row in finding.rows} == {"E of V", "V's hidden layer"}


def test_layers_have_the_same_names_where_v_reads_ds_encoder(tmp_path):
    """Else a head with an E of its own and one without could not stand side by side."""
    env = make_vector(ENV_ID, 1, options=OPTIONS)
    config = dataclasses.replace(CONFIG.agent, value_encoder="shared")
    agent = build_agent(env.single_observation_space, int(env.single_action_space.n), config, seed=0)
    for step in (0, 1):
        save_agent(tmp_path / HISTORY / f"{step:07d}", agent)
    amounts = Collection(num_episodes=60, max_rows=600, num_levels=8)
    material = dataclasses.replace(collect(agent, ENV_ID, seed=3, collection=amounts, options=OPTIONS), run=tmp_path)
    found = INSTRUMENT.measure(material, Settings(seed=0, num_rows=300))
    assert [row["layer"] for row in found.rows] == 2 * ["E of V", "V's hidden layer"]
    assert any(line.startswith("V reads D's E here") for line in found.not_shown)


def test_where_nothing_is_learned_all_marks_are_alike(run, tmp_path):
    """Planted null: the same agent kept three times."""
    agent = load_agent(run / "checkpoint")[0]
    for step in (0, 1, 2):
        save_agent(tmp_path / HISTORY / f"{step:07d}", agent)
    found = INSTRUMENT.measure(dataclasses.replace(material_of(run), run=tmp_path), Settings(seed=0, num_rows=400))
    marks = [{name: value for name, value in row.items() if name != "step"} for row in found.rows]
    np.testing.assert_equal(marks[:2], marks[2:4])
    np.testing.assert_equal(marks[2:4], marks[4:])


def test_whoever_probes_a_run_in_python_is_told_of_its_training_too(run):
    settings = Settings(seed=3, num_rows=300, collection=Collection(num_episodes=60, num_levels=8))
    assert probe_run(run, settings=settings, names=["training"]).reading("training").status == "measured"


@pytest.mark.parametrize("lost", [(0,), (300,), (360, 420, 480, 540, 600)], ids=["start", "middle", "interrupted"])
def test_some_marks_of_a_training_are_not_taken_for_all(run, tmp_path, lost):
    shutil.copytree(run / HISTORY, tmp_path / HISTORY)
    for step in lost:
        shutil.rmtree(tmp_path / HISTORY / f"{step:07d}")
    with pytest.raises(UserError, match="not the marks of a whole training"):
        INSTRUMENT.measure(dataclasses.replace(material_of(run), run=tmp_path), Settings(seed=0))


def test_marks_of_short_trainings():
    assert [marks_of(steps) for steps in (1, 3, 30)] == [[1], [1, 2, 3], list(range(3, 31, 3))]


def test_a_readout_that_is_refused_says_why(run):
    found = INSTRUMENT.measure(material_of(run), Settings(seed=0, num_rows=20))
    assert "distinct states" in found.rows[0]["refusal"] and "accuracy" not in found.rows[0]
    assert any(reason.startswith("E of V: ") and "distinct states" in reason for reason in found.not_shown)
    assert not any("balanced accuracy" in sentence for sentence in found.found if sentence.startswith("E of V"))


def test_runs_that_kept_nothing_or_remember_are_not_applicable(run, tmp_path):
    material = material_of(run)
    for folder in (None, tmp_path):
        with pytest.raises(NotApplicable, match="keep-history"):
            INSTRUMENT.measure(dataclasses.replace(material, run=folder), Settings(seed=0))


def test_a_damaged_mark_is_named(run, tmp_path):
    shutil.copytree(run / HISTORY, tmp_path / HISTORY)
    weights = tmp_path / HISTORY / "0000060" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match="0000060"):
        read_history(tmp_path)
