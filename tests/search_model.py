"""A search in plain Python, one tree of dictionaries and recursion, written from the papers: the rules' second witness.

It knows a finite world by `outcomes[s][a] = [(p, reward, next state or None), ...]` and shares no code with ours. A
next state of None is an end that is worth nothing; one in `ended` is an end that is worth its value.
"""

from __future__ import annotations

import math


class Node:
    def __init__(self, state, logits, value):
        self.state, self.logits, self.raw, self.value = state, logits, value, value
        top = max(logits)
        weights = [math.exp(logit - top) for logit in logits]
        self.prior = [weight / sum(weights) for weight in weights]
        self.count = [0] * len(logits)
        self.q = [0.0] * len(logits)
        self.children = [{} for _ in logits]
        self.tally = [{} for _ in logits]

    @property
    def total(self):
        return sum(self.count)

    def legal(self):
        return [a for a, logit in enumerate(self.logits) if logit > -math.inf]


def halving(num_actions, num_simulations):
    """The visits that simulation i asks for: phases of equal size, the better half goes on."""
    if num_actions == 1:
        return list(range(num_simulations))
    asked, visited, left = [], [0] * num_actions, num_actions
    phases = math.ceil(math.log2(num_actions))
    while len(asked) < num_simulations:
        for _ in range(max(1, int(num_simulations / (phases * left)))):
            for a in range(left):
                asked.append(visited[a])
                visited[a] += 1
        left = max(2, left // 2)
    return asked[:num_simulations]


class Search:
    def __init__(
        self, outcomes, logits, values, *, rule, discount, c_visit=50.0, c_scale=0.1, considered=16, c_init=1.25,
        c_base=19652.0, q_range=None, ended=(), use_rewards=True,
    ):  # fmt: skip
        self.outcomes, self.logits, self.values = outcomes, logits, values
        self.rule, self.discount = rule, discount
        self.c_visit, self.c_scale, self.considered = c_visit, c_scale, considered
        self.c_init, self.c_base, self.q_range = c_init, c_base, q_range
        self.ended, self.use_rewards = ended, use_rewards

    def run(self, state, num_simulations, gumbel, *, root_logits=None):
        root = Node(state, self.logits[state] if root_logits is None else root_logits, self.values[state])
        asked = halving(min(self.considered, len(root.legal())), num_simulations)
        for simulation in range(num_simulations):
            self.simulate(root, first=lambda node, i=simulation: self.root_action(node, gumbel, asked[i]))
        if self.rule == "puct":
            return root, max(root.legal(), key=lambda a: root.count[a])
        return root, self.root_action(root, gumbel, max(root.count))

    def simulate(self, node, first=None):
        """One simulation from a node; the node's value is brought up to date on the way back."""
        action = self.action(node) if first is None or self.rule == "puct" else first(node)
        branches = self.outcomes[node.state][action]
        seen = node.tally[action]
        due = max(range(len(branches)), key=lambda o: branches[o][0] * (node.count[action] + 1) - seen.get(o, 0))
        state = branches[due][2]
        if due not in node.children[action]:
            child = None if state is None else Node(state, self.logits[state], self.values[state])
            node.children[action][due] = child
        elif state is not None and state not in self.ended:
            self.simulate(node.children[action][due])
        seen[due] = seen.get(due, 0) + 1
        node.count[action] += 1
        mass = sum(branches[o][0] for o in seen)
        node.q[action] = sum(branches[o][0] * self.worth(node, action, o) for o in seen) / mass
        node.value = (node.raw + sum(n * q for n, q in zip(node.count, node.q, strict=True))) / (1 + node.total)

    def worth(self, node, action, o):
        child = node.children[action][o]
        reward = self.outcomes[node.state][action][o][1] if self.use_rewards else 0.0
        return reward + self.discount * (0.0 if child is None else child.value)

    def action(self, node):
        if self.rule == "puct":
            known = [node.value] + [q for n, q in zip(node.count, node.q, strict=True) if n]
            low, spread = min(known), self.spread(known)
            rate = self.c_init + math.log((node.total + 1 + self.c_base + 1) / self.c_base)
            scores = {
                a: ((node.q[a] - low) / spread if node.count[a] else 0.0)
                + rate * node.prior[a] * math.sqrt(node.total + 1) / (node.count[a] + 1)
                for a in node.legal()
            }
        else:
            sigma = self.sigma(node)
            logits = [logit + s for logit, s in zip(node.logits, sigma, strict=True)]
            top = max(logits)
            weights = [math.exp(logit - top) for logit in logits]
            scores = {a: weights[a] / sum(weights) - node.count[a] / (1 + node.total) for a in node.legal()}
        return max(scores, key=scores.get)

    def root_action(self, node, gumbel, num_visits):
        sigma, top = self.sigma(node), max(node.logits)
        allowed = [a for a in node.legal() if node.count[a] == num_visits]
        return max(allowed, key=lambda a: gumbel[a] + node.logits[a] - top + sigma[a])

    def sigma(self, node):
        visited = [a for a, n in enumerate(node.count) if n]
        mixed = node.raw
        if visited:
            mean = sum(node.prior[a] * node.q[a] for a in visited) / sum(node.prior[a] for a in visited)
            mixed = (node.raw + node.total * mean) / (1 + node.total)
        completed = [q if n else mixed for n, q in zip(node.count, node.q, strict=True)]
        scale = (self.c_visit + max(node.count)) * self.c_scale / self.spread(completed)
        return [scale * (q - min(completed)) for q in completed]

    def spread(self, values):
        return self.q_range or max(max(values) - min(values), 1e-8)
