"""MultiNeed and CrossedHistory against plain-Python models of their rules, level properties, exact values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_models import assert_kernel_agrees, cell_number, cells_of, distance, interior, moved, walls_of
from scipy import stats

from envs import GridVectorEnv, make_world
from envs.errors import UserError
from envs.noise import integer, level_key, uniform
from envs.rows import FIRST_TEST_LEVEL
from envs.tabular import enumerate_world, value_iteration
from envs.worlds import multi_need


class NeedModel:
    """MultiNeed written a second time, with tuples and lists."""

    def __init__(self, config, *, level, cue):
        self.config, self.cue, self.fresh = config, cue, True
        free = interior(config.size)
        key = level_key(level)
        draws = [free.pop(integer(key, i, len(free))) for i in range(config.num_objects + 1)]
        self.agent, self.objects = draws[0], draws[1:]
        self.cues = list(range(config.num_objects * config.cues_per_need))

    def need_of(self, cue):
        return cue % self.config.num_objects

    def step(self, action, draws):
        config, need = self.config, self.need_of(self.cue)
        self.agent, self.fresh = moved(self.agent, action, config.size), False
        for i, (y, x) in enumerate(self.objects):
            if config.drift and draws[i] < config.drift:
                self.objects[i] = (y, x + 1 if x < config.size else 1)
        if self.objects[need] == self.agent:
            if config.continuing:
                others = sorted((self.need_of(cue), cue) for cue in self.cues if self.need_of(cue) != need)
                self.cue, self.fresh = others[int(draws[-1] * len(others))][1], True
            return 1.0, need, not config.continuing
        wrong = int(self.agent in self.objects) if config.wrong_cost else 0
        return -config.wrong_cost * wrong, config.num_objects if wrong else -1, False

    def observation(self):
        config = self.config
        planes = np.zeros((config.num_objects + 2, config.size + 2, config.size + 2), np.uint8)
        for plane, cell in enumerate([self.agent, *self.objects]):
            planes[(plane, *cell)] = 1
        planes[-1] = walls_of(config.size)
        shown = config.context == "shown" or (config.context == "first" and self.fresh)
        return planes, np.eye(len(self.cues), dtype=np.float32)[self.cue] * shown


class HistoryModel:
    """CrossedHistory written a second time."""

    def __init__(self, config, *, level):
        self.config = config
        k, first = config.num_cues, level // FIRST_TEST_LEVEL * FIRST_TEST_LEVEL
        index = level - first
        if config.layout == "train":
            key = level_key(level)
            self.cue, paired = integer(key, 0, k), config.pairing[integer(key, 0, k)]
            others = [(paired + 1 + i) % k for i in range(k - 1)]
            shown = others[integer(key, 2, k - 1)] if uniform(key, 1, 0) < config.dose else paired
            self.agent, self.objects = self.place_one(key, shown)
        elif config.layout == "crossed":
            self.cue, key = index % k, level_key(first + index // k**2)
            self.agent, self.objects = self.place_one(key, index // k % k)
        else:
            self.cue, key = index % k, level_key(first + index // k)
            self.agent, self.objects = self.place_two(key)

    def place_one(self, key, shown):
        free = interior(self.config.size)
        agent = free.pop(integer(key, 3, len(free)))
        return agent, {shown: free[integer(key, 4, len(free))]}

    def place_two(self, key):
        cells, k = interior(self.config.size), self.config.num_cues
        agent = cells[integer(key, 3, len(cells))]
        first = integer(key, 2, k)
        second = (first + 1 + integer(key, 1, k - 1)) % k
        pairs = [
            pair
            for pair in itertools.permutations(cells, 2)
            if agent not in pair and distance(agent, pair[0]) == distance(agent, pair[1])
        ]
        chosen = pairs[integer(key, 4, len(pairs))]
        return agent, {first: chosen[0], second: chosen[1]}

    def step(self, action, draws):
        self.agent = moved(self.agent, action, self.config.size)
        for o, cell in sorted(self.objects.items()):
            if cell == self.agent:
                return 1.0, o, True
        return 0.0, -1, False

    def observation(self):
        size, k = self.config.size, self.config.num_cues
        planes = np.zeros((k + 2, size + 2, size + 2), np.uint8)
        planes[(0, *self.agent)] = 1
        for o, cell in self.objects.items():
            planes[(1 + o, *cell)] = 1
        planes[-1] = walls_of(size)
        return planes, np.eye(k, dtype=np.float32)[self.cue]


CASES = [
    ("MultiNeed", {}),
    ("MultiNeed", {"size": 3, "num_objects": 3, "wrong_cost": 0.5, "context": "first", "time_limit": 9}),
    ("MultiNeed", {"size": 4, "num_objects": 8, "wrong_cost": 0.1, "drift": 0.4, "context": "hidden"}),
    ("MultiNeed", {"size": 2, "num_objects": 1, "drift": 1.0}),
    ("MultiNeed", {"size": 3, "cues_per_need": 2, "context": "first"}),
    ("MultiNeed", {"size": 3, "continuing": True, "context": "first", "num_objects": 3, "wrong_cost": 0.2}),
    ("MultiNeed", {"size": 2, "continuing": True, "num_objects": 2, "cues_per_need": 3, "drift": 0.3}),
    ("CrossedHistory", {"dose": 0.4, "size": 4, "num_cues": 3, "pairing": (2, 0, 1), "time_limit": 9}),
    ("CrossedHistory", {"layout": "crossed", "size": 3, "num_cues": 3}),
    ("CrossedHistory", {"layout": "choice", "size": 4, "num_cues": 3}),
    ("CrossedHistory", {"layout": "choice"}),
]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_kernel_agrees_with_the_plain_python_model(name, options, split):
    def make_model(world, level, row):
        context = int(world.context_of(row[None])[0])
        if name == "MultiNeed":
            return NeedModel(world.config, level=level, cue=context)
        model = HistoryModel(world.config, level=level)
        assert context == model.cue
        return model

    assert_kernel_agrees(name, options, make_model, split=split)


def test_defaults():
    need, history = make_world("MultiNeed"), make_world("CrossedHistory")
    assert (need.grid, len(need.event_names), need.config.context) == ((9, 9), 4, "shown")
    assert (history.grid, len(history.event_names), history.config.pairing) == ((9, 9), 2, (0, 1))
    assert {(world.discount, world.time_limit) for world in (need, history)} == {(0.95, 64)}


@given(
    st.sampled_from(["MultiNeed", "CrossedHistory"]),
    st.integers(2, 9),
    st.sampled_from(["train", "crossed", "choice"]),
    st.integers(0, 2**34),
)
@settings(max_examples=60, deadline=None)
def test_begin_places_everything_at_distinct_cells_inside(name, size, layout, level):
    """In an open room a cell inside the walls can be reached."""
    options = {"num_objects": min(4, size**2 - 1)} if name == "MultiNeed" else {"layout": layout}
    world = make_world(name, size=size, **options)
    row = world.begin([level], [0])
    planes = world.observe(row)["planes"][0]
    cells = [cell for plane in range(len(planes) - 1) for cell in cells_of(planes, plane=plane)]
    present = {"MultiNeed": 1 + options.get("num_objects", 0), "CrossedHistory": 3 if layout == "choice" else 2}[name]
    assert len(cells) == len(set(cells)) == present
    assert set(cells) <= set(interior(size))
    assert len(cells_of(planes, plane=0)) == 1


def test_cells_are_uniform_over_levels():
    world = make_world("MultiNeed", size=5)
    planes = world.observe(world.begin(np.arange(10_000), 0))["planes"][:, :-1, 1:-1, 1:-1].sum(0, dtype=int)
    for plane in planes:
        assert stats.chisquare(plane.reshape(-1)).pvalue > 1e-4


def test_a_level_never_depends_on_the_seed():
    world = make_world("MultiNeed", num_levels=3)
    rows = {}
    for seed in range(20):
        env = GridVectorEnv(world, 4)
        infos = env.reset(seed=seed)[1]
        for level, row in zip(infos["level"], env.get_state().rows, strict=True):
            assert rows.setdefault(int(level), tuple(row[:5])) == tuple(row[:5])
    assert len(rows) == 3


def test_needs_are_drawn_per_episode_and_uniform():
    env = GridVectorEnv(make_world("MultiNeed"), 4000)
    needs = env.reset(seed=0)[1]["context"]
    assert stats.chisquare(np.bincount(needs, minlength=4)).pvalue > 1e-4


@pytest.mark.parametrize(("context", "shown"), [("shown", [1, 1]), ("hidden", [0, 0]), ("first", [1, 0])])
def test_when_the_need_is_shown(context, shown):
    """Shown at every step, never, or at t = 0 alone; the row keeps it, and the true context is always known."""
    world = make_world("MultiNeed", context=context)
    env = GridVectorEnv(world, 30)
    observations, infos = env.reset(seed=0)
    assert (observations["vector"].sum(1) == shown[0]).all()
    after, _, terminated, _, later = env.step(np.zeros(30, int))
    assert (after["vector"].sum(1) == shown[1]).all()
    assert (later["context"] == infos["context"])[~terminated].all()
    if context != "hidden":
        assert (observations["vector"].argmax(1) == infos["context"]).all()


def test_wrong_cost_and_its_event():
    free, costly = make_world("MultiNeed"), make_world("MultiNeed", wrong_cost=0.25)
    assert free.event_names == ("need_0", "need_1", "need_2", "need_3")
    assert costly.event_names == (*free.event_names, "wrong")
    cells = [cell_number(*place) for place in ((3, 3), (3, 4), (1, 1), (7, 7), (1, 7))]
    row, action = np.array([[*cells, 2, 0]], np.int16), 1
    outcomes = costly.expand(row)
    assert outcomes.event[0, action, 0] == 4 and not outcomes.terminated[0, action, 0]
    assert outcomes.components[0, action, 0] @ costly.reward_weights == -0.25
    assert (free.expand(row).components[0, action, 0] == 0).all()


def test_several_cues_stand_for_one_need():
    """Cue c means need c mod K: the context tells cues apart, the event and V* do not."""
    world = make_world("MultiNeed", size=4, num_objects=3, cues_per_need=2)
    assert world.context_names == world.vector_names == tuple(f"cue_{c}_need_{c % 3}" for c in range(6))
    assert world.event_names == ("need_0", "need_1", "need_2") and world.num_starts == 6
    mdp = enumerate_world(world, range(8))
    values = value_iteration(mdp).values[mdp.start_state].reshape(8, 2, 3)
    assert (values[:, 0] == values[:, 1]).all() and np.ptp(values, axis=2).max() > 0
    contexts = world.context_of(mdp.rows)
    for cue in range(6):
        events = mdp.event[contexts == cue]
        assert set(np.unique(events)) == {-1, cue % 3}


def test_a_continuing_world_goes_on_from_where_the_agent_is():
    """At the needed object the next cue is drawn from those of other needs, each with the same chance."""
    world = make_world("MultiNeed", num_objects=3, cues_per_need=2, continuing=True, context="first")
    cells = [cell_number(*place) for place in ((3, 3), (3, 4), (1, 1), (7, 7))]
    row, right, up = np.array([[*cells, 0, 2]], np.int16), 1, 0
    assert world.context_of(row) == [3]
    outcomes = world.expand(row)
    assert outcomes.probability[0, right] == pytest.approx(np.full(4, 0.25))
    assert not outcomes.terminated.any()
    assert (outcomes.event[0, right] == 0).all() and (outcomes.components[0, right, :, 0] == 1).all()
    after = outcomes.next_rows[0, right]
    assert sorted(world.context_of(after)) == [1, 2, 4, 5], "a cue of another need"
    assert (world.observe(after)["vector"].argmax(axis=1) == world.context_of(after)).all(), "shown as it is drawn"
    assert (after[:, 0] == cells[1]).all() and (after[:, 1:4] == cells[1:]).all(), "nothing moves by itself"
    assert outcomes.probability[0, up].tolist() == [1, 0, 0, 0] and outcomes.event[0, up, 0] == -1


def test_a_continuing_episode_is_ended_by_the_limit_alone():
    world = make_world("MultiNeed", size=3, num_objects=2, continuing=True)
    env = GridVectorEnv(world, 50)
    env.reset(seed=0)
    rng, total = np.random.default_rng(0), np.zeros(50)
    for t in range(64):
        _, reward, terminated, truncated, _ = env.step(rng.integers(0, 4, 50))
        total += reward
        assert not terminated.any() and truncated.all() == (t == 63)
    assert total.mean() > 2


@pytest.mark.parametrize("num_objects", [2, 3, 4])
def test_the_value_of_a_continuing_world_solves_the_round_trip(num_objects):
    """From the object of need n the next is any other with equal chance: W_n = mean_m γ^(d_nm − 1) (1 + γ W_m)."""
    world = make_world("MultiNeed", size=4, num_objects=num_objects, continuing=True)
    mdp = enumerate_world(world, range(5))
    values = value_iteration(mdp).values[mdp.start_state].reshape(5, num_objects)
    planes = world.observe(world.begin(np.arange(5), 0))["planes"]
    for level in range(5):
        agent, *objects = (cells_of(planes[level], plane=plane)[0] for plane in range(num_objects + 1))
        ways = np.array([[0.95 ** (distance(n, m) - 1) for m in objects] for n in objects])
        ways *= (1 - np.eye(num_objects)) / (num_objects - 1)
        arrived = np.linalg.solve(np.eye(num_objects) - 0.95 * ways, ways.sum(axis=1))
        expected = [0.95 ** (distance(agent, m) - 1) * (1 + 0.95 * arrived[i]) for i, m in enumerate(objects)]
        assert values[level] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("options", [{"num_objects": 2}, {"num_objects": 3}, {"num_objects": 2, "cues_per_need": 2}])
@given(st.integers(0, 2**20), st.integers(0, 2**20))
@settings(max_examples=30, deadline=None)
def test_outcomes_of_drift_and_the_next_cue_are_all_there_is(options, level, seed):
    """Any draws lead to a row that `expand` lists, and listed rows come as often as it says."""
    world = make_world("MultiNeed", size=2, drift=0.4, continuing=True, **options)
    row = world.begin([level], [0])[0]
    outcomes = world.expand(row[None])
    draws = np.random.default_rng(seed).random((400, world.num_channels))
    draws[0], draws[1] = 0.0, np.nextafter(1.0, 0.0)
    for action in range(4):
        seen = {}
        for draw in draws:
            after, components = row.copy(), np.zeros(len(world.component_names))
            multi_need.transition(world.kernel_config, after, action, draw, components)
            seen[after.tobytes()] = seen.get(after.tobytes(), 0) + 1
        listed = {}
        for o, probability in enumerate(outcomes.probability[0, action]):
            key = outcomes.next_rows[0, action, o].tobytes()
            listed[key] = listed.get(key, 0.0) + probability
        assert set(seen) <= set(listed) and sum(listed.values()) == pytest.approx(1)
        assert all(abs(seen.get(key, 0) / 400 - share) < 0.15 for key, share in listed.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"continuing": True, "num_objects": 1}, "num_objects is 1, allowed with continuing are 2 to 8"),
        ({"continuing": 1}, "continuing is 1, allowed are True and False"),
        ({"cues_per_need": 0}, "cues_per_need is 0"),
        ({"cues_per_need": 9}, "cues_per_need is 9"),
    ],
)
def test_bad_options_of_multi_need_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        make_world("MultiNeed", **options)


def optimal_values(world, levels, *, starts):
    """V* at the first states by breadth-first dynamic programming over `expand`, written out here."""
    rows = world.begin(levels, starts)
    index = {row.tobytes(): None for row in rows}
    frontier, order = rows, [row.copy() for row in rows]
    while len(frontier):
        fresh = {}
        outcomes = world.expand(frontier)
        for row in outcomes.next_rows[~outcomes.terminated].reshape(-1, world.row_size):
            if row.tobytes() not in index:
                index[row.tobytes()] = None
                fresh[row.tobytes()] = row.copy()
        order += fresh.values()
        frontier = np.array(list(fresh.values()), np.int16)
    states = np.unique(np.array(order), axis=0)
    place = {row.tobytes(): s for s, row in enumerate(states)}
    outcomes = world.expand(states)
    successor = np.array(
        [[place.get(outcomes.next_rows[s, a, 0].tobytes(), 0) for a in range(4)] for s in range(len(states))]
    )
    reward = outcomes.components[:, :, 0] @ world.reward_weights
    values = np.zeros(len(states))
    for _ in range(40):
        values = (reward + world.discount * ~outcomes.terminated[:, :, 0] * values[successor]).max(1)
    return values[[place[row.tobytes()] for row in rows]]


def test_optimal_value_is_discount_to_the_distance_minus_one():
    world = make_world("MultiNeed", size=4)
    rows = world.begin(np.arange(6), np.arange(6) % 4)
    planes = world.observe(rows)["planes"]
    steps = [distance(cells_of(p, plane=0)[0], cells_of(p, plane=1 + n % 4)[0]) for n, p in enumerate(planes)]
    assert optimal_values(world, np.arange(6), starts=np.arange(6) % 4) == pytest.approx(0.95 ** (np.array(steps) - 1))


@pytest.mark.parametrize("num_cues", [2, 3])
def test_crossed_levels_are_minimal_pairs_and_their_value_has_no_interaction(num_cues):
    """The same cells under every cue and object; V* is constant over the K × K levels of a layout."""
    world = make_world("CrossedHistory", layout="crossed", num_cues=num_cues, size=4)
    block = num_cues**2
    levels = FIRST_TEST_LEVEL + np.arange(5 * block)
    rows = world.begin(levels, 0)
    values = optimal_values(world, levels, starts=0).reshape(5, num_cues, num_cues)
    for layout in range(5):
        part = rows[layout * block : (layout + 1) * block]
        assert sorted(zip(part[:, -1], part[:, 1:-1].argmax(1), strict=True)) == list(
            itertools.product(range(num_cues), repeat=2)
        )
        assert len({(row[0], row[1:-1].max()) for row in part}) == 1
        assert np.ptp(values[layout]) == 0.0
    assert np.ptp(values) > 0
    interaction = values - values.mean(1, keepdims=True) - values.mean(2, keepdims=True)
    assert np.ptp(interaction, axis=(1, 2)).max() < 1e-12


def test_choice_levels_hold_two_objects_at_equal_distance_under_every_cue():
    world = make_world("CrossedHistory", layout="choice", num_cues=3)
    rows = world.begin(FIRST_TEST_LEVEL + np.arange(300), 0)
    planes = world.observe(rows)["planes"]
    pairs = set()
    for p in planes:
        (agent,) = cells_of(p, plane=0)
        objects = {o: cells_of(p, plane=1 + o)[0] for o in range(3) if p[1 + o].any()}
        assert len(objects) == 2 and len({distance(agent, cell) for cell in objects.values()}) == 1
        pairs.add(tuple(objects))
    assert pairs == {(0, 1), (0, 2), (1, 2)}
    layouts = rows.reshape(100, 3, -1)
    assert (layouts[:, :, :-1] == layouts[:, :1, :-1]).all() and (layouts[:, :, -1] == np.arange(3)).all()


@pytest.mark.parametrize("num_cues", [2, 4])
@pytest.mark.parametrize("dose", [0.0, 0.1, 0.5])
def test_training_levels_honour_pairing_and_dose(num_cues, dose):
    pairing = tuple(reversed(range(num_cues)))
    world = make_world("CrossedHistory", num_cues=num_cues, pairing=pairing, dose=dose)
    rows = world.begin(np.arange(8000), 0)
    cue, shown = rows[:, -1], (rows[:, 1:-1] >= 0).argmax(1)
    assert ((rows[:, 1:-1] >= 0).sum(1) == 1).all()
    off = shown != np.array(pairing)[cue]
    assert off.sum() == 0 if dose == 0 else stats.binomtest(int(off.sum()), 8000, dose).pvalue > 1e-4
    assert stats.chisquare(np.bincount(cue)).pvalue > 1e-4
    if dose:
        others = np.bincount((shown - np.array(pairing)[cue])[off] % num_cues, minlength=num_cues)[1:]
        assert num_cues == 2 or stats.chisquare(others).pvalue > 1e-4
        assert stats.chi2_contingency(np.histogram2d(cue, off, bins=(num_cues, 2))[0]).pvalue > 1e-4


def test_pairing_moves_objects_and_nothing_else():
    """Two run seeds with opposite pairings see the same cues at the same cells."""
    first = make_world("CrossedHistory").begin(np.arange(200), 0)
    second = make_world("CrossedHistory", pairing=(1, 0)).begin(np.arange(200), 0)
    assert (first[:, [0, 3]] == second[:, [0, 3]]).all()
    assert (first[:, [1, 2]] == second[:, [2, 1]]).all()


def test_train_and_test_layouts_differ():
    for options in ({}, {"layout": "crossed"}, {"layout": "choice"}):
        world = make_world("CrossedHistory", **options)
        train, test = (world.begin(world.levels(split).ids(), 0) for split in ("train", "test"))
        assert (train[:, 0] == test[:, 0]).mean() < 0.1
