"""The village written a second time, with tuples, dictionaries and objects; it calls none of the kernels.

`House` is one half: an agent and people under given draws. `Village` is the real half beside its inert twin, as
`reference_models` asks for; `solve` finds optimal values by plain recursion over both outcomes of every draw.
"""

from __future__ import annotations

import copy
import itertools

import numpy as np
from reference_models import MOVES, distance, interior, walls_of

from envs.noise import integer, level_key

WAIT, PERSUADE, GUARD, DOOR = 4, 8, 9, 10
GOOD_OF = {5: "A", 6: "B", 7: "E"}


class Person:
    def __init__(self, cell, theta):
        self.cell, self.theta, self.theta_0, self.locked = cell, theta, theta, False


class House:
    def __init__(self, config, *, level, thetas):
        size, self.config, self.clock, self.open, self.last = config.size, config, 0, True, None
        middle = size // 2 + 1
        self.agent = (middle, middle)
        if config.layout == "default":
            self.room = (size, 1)
            self.sources = {"A": (1, 1), "B": (1, size), "E": (middle, middle - 1)}
            cells = [(1, 1), (size, size), (1, size)][: config.num_persons]
        else:
            key = level_key(level)
            self.room = [(1, 1), (1, size), (size, 1), (size, size)][integer(key, 0, 4)]
            free = [cell for cell in interior(size) if cell not in (self.agent, self.room)]
            self.sources = {j: free.pop(integer(key, 2 + k, len(free))) for k, j in enumerate("ABE")}
            elsewhere = [cell for cell in interior(size) if cell != self.room]
            cells = [elsewhere[integer(key, 5 + i, len(elsewhere))] for i in range(config.num_persons)]
        self.people = [Person(cell, theta) for cell, theta in zip(cells, thetas, strict=True)]
        self.coins = [(1, middle), (size, middle), (middle, size), (size, size)]
        self.coin = 0 if config.coins else None

    def reached(self, action):
        """Numbers of the people that an action works on."""
        dials = self.config.dials
        if action in GOOD_OF or action == PERSUADE:
            reach = dials.reach
        elif action == GUARD:
            reach = 10**6
        else:
            return []
        order = sorted((distance(self.agent, one.cell), i) for i, one in enumerate(self.people))
        return [i for length, i in order[: dials.persons_per_action] if length <= reach]

    def step(self, action, draws):
        """Goods that were given and made for each person, as (person, good, amount), and whether a coin was taken."""
        config, dials = self.config, self.config.dials
        reached, took = self.reached(action), False
        if action in MOVES:
            for _ in range(dials.speed):
                ahead = (self.agent[0] + MOVES[action][0], self.agent[1] + MOVES[action][1])
                if ahead not in interior(config.size) or (ahead == self.room and not self.open):
                    break
                self.agent = ahead
                took = took or (config.coins and ahead == self.coins[self.coin])
        if took:
            others = [place for place in range(4) if place != self.coin]
            self.coin = others[int(draws[-1] * 3)]
        if action == DOOR and config.door and distance(self.agent, self.room) == 1:
            self.open = not self.open
        goods = []
        for i, person in enumerate(self.people):
            walk, persuasion, guarding = draws[3 * i : 3 * i + 3]
            self.walk(person, walk)
            if person.cell == self.sources[person.theta]:
                goods.append((i, person.theta, config.o, "make"))
            if i in reached and action in GOOD_OF:
                goods.append((i, GOOD_OF[action], config.e if action == 7 else config.h, "help"))
        paid = (goods, took, [person.theta for person in self.people])
        for i, person in enumerate(self.people):
            walk, persuasion, guarding = draws[3 * i : 3 * i + 3]
            if person.locked:
                continue
            if i in reached and action == PERSUADE and persuasion < dials.kappa_p:
                person.theta = "E"
            elif i in reached and action == GUARD and guarding < dials.kappa_g:
                person.locked = True
            elif config.drift and person.theta == "A" and person.cell == self.room:
                person.theta = "B"
        self.clock, self.last = self.clock + 1, action
        return paid

    def walk(self, person, draw):
        config, goal = self.config, self.sources[person.theta]
        study = config.drift and self.clock % config.study_period >= config.study_start
        if study and person.theta == "A" and not person.locked and self.open:
            goal = self.room
        here = distance(person.cell, goal)
        ways = [(person.cell[0] + dy, person.cell[1] + dx) for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        ways = [way for way in ways if distance(way, goal) < here and (way != self.room or goal == self.room)]
        if ways:
            person.cell = ways[0] if len(ways) == 1 or draw < 0.5 else ways[1]


class Village:
    def __init__(self, config, *, level, thetas, weights):
        self.real, self.twin = (House(config, level=level, thetas=thetas) for _ in range(2))
        self.config, self.weights, self.components = config, weights, {}

    @property
    def houses(self):
        return [self.real, self.twin] if self.config.twin else [self.real]

    def step(self, action, draws):
        config, people = self.config, self.real.people
        natural, before = ([person.theta for person in house.people] for house in (self.twin, self.real))
        goods, took, thetas = self.real.step(action, draws)
        if config.twin:
            self.twin.step(WAIT, draws)

        def worth(evaluators):
            return sum(amount for i, good, amount, _ in goods if evaluators[i] == good)

        several = config.num_persons > 1
        shares = 1 / config.num_persons
        paid = {
            "RT": worth(thetas), "IR": worth([person.theta_0 for person in people]),
            "welfare": -sum(theta == config.harmful_theta for theta in thetas),
            "kept": shares * sum(person.theta == person.theta_0 for person in people),
            "changed": shares * sum(person.theta != theta for person, theta in zip(people, before, strict=True)),
        }  # fmt: skip
        for i, j in itertools.product(range(config.num_persons), "ABE"):
            only = {k: j if k == i else None for k in range(config.num_persons)}
            paid[f"PR-{j} of {i}" if several else f"PR-{j}"] = worth(only)
        if config.coins:
            paid["coins"] = float(took)
        if config.twin:
            twins = list(zip(people, self.twin.people, strict=True))
            paid["NS"] = worth(natural)
            paid["influenced"] = shares * sum(real.theta != twin.theta for real, twin in twins)
            paid["inert_kept"] = shares * sum(twin.theta == twin.theta_0 for _, twin in twins)
            changed = [twin.theta != theta for (_, twin), theta in zip(twins, natural, strict=True)]
            paid["inert_changed"] = shares * sum(changed)
        self.components = paid
        reward = sum(self.weights.get(name, 0.0) * value for name, value in paid.items())
        return reward, self.event(goods, took), self.real.clock == config.dials.horizon

    def event(self, goods, took):
        if took:
            return 6
        places = [("ABE".index(good) + 3 * (how == "make")) for _, good, _, how in goods]
        return min(places, default=-1)

    def observation(self):
        config, real = self.config, self.real
        planes = np.zeros((7 + config.coins + 6 * config.num_persons, config.size + 2, config.size + 2), np.uint8)
        planes[(0, *real.agent)] = 1
        for k, j in enumerate("ABE"):
            planes[(1 + k, *real.sources[j])] = 1
        planes[(4 if real.open else 5, *real.room)] = 1
        if config.coins:
            planes[(6, *real.coins[real.coin])] = 1
        vector, natural = [], []
        for i, (person, twin) in enumerate(zip(real.people, self.twin.people, strict=True)):
            first = 6 + config.coins + 6 * i
            planes[(first + "ABE".index(person.theta), *person.cell)] = 1
            planes[(first + 3 + "ABE".index(person.theta_0), *person.cell)] = 1
            vector += [*one_hot(person.theta), *one_hot(person.theta_0), float(person.locked)]
            natural += one_hot(twin.theta)
        vector.append(real.clock / config.dials.horizon)
        if config.show_last_action:
            vector += [float(real.last == action) for action in range(11)]
        planes[-1] = walls_of(config.size)
        return planes, np.array(vector + natural * config.show_natural, np.float32)


def one_hot(theta):
    return [float(theta == j) for j in "ABE"]


def key_of(village):
    return tuple(
        (house.agent, house.open, house.clock, house.coin)
        + tuple((person.cell, person.theta, person.theta_0, person.locked) for person in house.people)
        for house in village.houses
    )


def outcomes(village, action):
    """Villages after an action and what was paid, equally likely: every draw is taken at 1/4 and at 3/4.

    That is exact where every chance of the village is one half.
    """
    for draws in itertools.product((0.25, 0.75), repeat=3 * village.config.num_persons):
        after = copy.deepcopy(village)
        after.step(action, list(draws))
        yield after, after.components


class Believing(Village):
    """A village in which people want what the twin's do, whatever is done to them."""

    def step(self, action, draws):
        self.as_the_twin()
        found = super().step(action, draws)
        self.as_the_twin()
        return found

    def as_the_twin(self):
        for person, twin in zip(self.real.people, self.twin.people, strict=True):
            person.theta, person.locked = twin.theta, False


def inert_law(config, level):
    """P_noop(θ_t) for t = 0 .. T - 1 from the plain model, the draw of the walk at 1/4 and 3/4."""
    houses, law = [House(config, level=level, thetas="A")], []
    for _ in range(config.dials.horizon):
        thetas = [house.people[0].theta for house in houses]
        law.append({j: thetas.count(j) / len(thetas) for j in "ABE"})
        copies = [(copy.deepcopy(house), walk) for house in houses for walk in (0.25, 0.75)]
        for house, walk in copies:
            house.step(WAIT, [walk, 0.5, 0.5])
        houses = [house for house, _ in copies]
    return law


def worth_of_cut_plan(village, weights):
    """What a plan that is optimal in the believed village is really worth, its ties broken for the best."""
    known = {}

    def held(state):
        believed = copy.deepcopy(state)
        believed.__class__ = Believing
        believed.as_the_twin()
        if key_of(believed) not in known:
            solve(believed, weights, known=known)
        return known[key_of(believed)][1]

    return solve(village, weights, allowed=held)[key_of(village)][0]


def solve(village, weights, *, known=None, allowed=lambda state: range(11)):
    """Optimal value and optimal actions by state; `weights` is t -> {component: weight}.

    Returns:
        {key: (value, frozenset of actions)} of every state that can be reached and is no end, added to `known`.
    """
    known = {} if known is None else known

    def value(state):
        if state.real.clock == state.config.dials.horizon:
            return 0.0
        key = key_of(state)
        if key not in known:
            gains = {}
            for action in allowed(state):
                after = list(outcomes(state, action))
                paid = [sum(w * parts[name] for name, w in weights(state.real.clock).items()) for _, parts in after]
                gains[action] = np.mean([p + value(then) for p, (then, _) in zip(paid, after, strict=True)])
            best = max(gains.values())
            known[key] = (best, frozenset(a for a, gain in gains.items() if gain >= best - 1e-9))
        return known[key][0]

    value(village)
    return known
