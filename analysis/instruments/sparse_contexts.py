"""Which features of an autoencoder stand for a context, recur over seeds, and move V when they are ablated.

Shapes: m held-out rows, d units, K features, C contexts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from agents.seeding import numpy_generator
from analysis.instruments.sparse_autoencoder import SparseAutoencoder
from analysis.instruments.sparse_baselines import random_directions
from analysis.instruments.sparse_data import Readout, SparseData
from analysis.instruments.sparse_fits import Fit, alive_dictionary
from analysis.instruments.sparse_metrics import firing_rates, max_cosines

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ContextRule:
    """When a feature counts as one of context.

    Attributes:
        auroc: It tells one context from the others by more than this on held-out states, in (0.5, 1).
        quantile: Its cosine with the nearest features of other seeds lies above this quantile of random directions'.
        num_draws: Uniformly random directions, along each of which the same changes must move V less than its own
            ablation does; 19 make a level of 5 %.
        least_effect: And its ablation must move V by at least this, rms in standard deviations of V.
        most_ablated: At most so many features are ablated, those of the highest AUROC.
    """

    auroc: float = 0.95
    quantile: float = 0.95
    num_draws: int = 19
    least_effect: float = 0.01
    most_ablated: int = 32


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """The features of one autoencoder (the first seed's of a fit), on held-out rows.

    Attributes:
        firing: float64[K], share of rows in which each fires.
        recurrence: float64[K], mean over other seeds of the cosine with the nearest alive feature; NaN for dead ones,
            and where there is no other seed with alive features.
        random_recurrence: float64[R], the same of directions drawn with the covariance of the rows.
        recurs: bool[K], above the rule's quantile of `random_recurrence`.
        context: int64[K], the context that each tells best on the rows trained on; -1 where contexts are not known.
        auroc: float64[K], of that context against the others on held-out states; NaN for dead features and as before.
        random_auroc: float64[R], the same of random directions' projections.
        effect: float64[K], rms change of V in standard deviations of V where the feature is set to its mean; NaN where
            it was not ablated.
        random_effect: float64[K], the largest of the same along random directions by the same amounts.
        rule: By which the properties count.
    """

    firing: Floats
    recurrence: Floats
    random_recurrence: Floats
    recurs: Bools
    context: Ints
    auroc: Floats
    random_auroc: Floats
    effect: Floats
    random_effect: Floats
    rule: ContextRule

    @property
    def is_alive(self) -> Bools:
        """bool[K], fires on some held-out row."""
        return np.asarray(self.firing > 0)

    @property
    def tells_context(self) -> Bools:
        """bool[K], by the rule's AUROC."""
        return np.asarray(np.nan_to_num(self.auroc) > self.rule.auroc)

    @property
    def moves_value(self) -> Bools:
        """bool[K], ablated and with an effect by the rule."""
        least = np.maximum(self.random_effect, self.rule.least_effect)
        return np.asarray(np.nan_to_num(self.effect) > np.nan_to_num(least, nan=np.inf))

    @property
    def is_context_feature(self) -> Bools:
        """bool[K]: tells a context, recurs over seeds, and moves V."""
        return self.tells_context & self.recurs & self.moves_value

    @property
    def context_share(self) -> float:
        """Share of alive features that tell a context; NaN where contexts are not known, or nothing is alive."""
        return _share(self.tells_context[self.is_alive], known=bool((self.context >= 0).any()))

    @property
    def random_context_share(self) -> float:
        """The same share of random directions."""
        return _share(self.random_auroc > self.rule.auroc, known=bool(np.isfinite(self.random_auroc).any()))


def feature_table(fit: Fit, data: SparseData, *, seed: int, rule: ContextRule | None = None) -> FeatureTable:
    """Looks at every feature of a fit's first seed.

    A feature of context must do three things that a direction may well do one at a time: tell a context on states that
    nothing was fitted on, be found again from other seeds, and matter to V where it is replaced by its mean.

    Args:
        fit: Of `data`.
        data: With contexts and `readouts.value` where they are known; without them the counts stay at 0.
        seed: Of the random directions.
        rule: `ContextRule()` where left out.

    Returns:
        `FeatureTable`.

    Cannot show: that V has no context feature where none is found, as dictionaries split and merge features; nor that
    one that is found acts on V as a context does in the world.
    """
    rule, model = rule or ContextRule(), fit.models[0]
    stream = numpy_generator(seed, "sparse features", "random directions")
    codes = model.encode(data.test)
    firing = firing_rates(codes)
    drawn = random_directions(200, like=data.train, stream=stream)
    recurrence, of_random = _recurrence(fit, data, drawn=drawn)
    recurrence[firing == 0] = np.nan
    recurs = np.nan_to_num(recurrence, nan=-1.0) > np.quantile(of_random, rule.quantile)
    context, auroc = _context_aurocs(model.encode(data.train), codes, data=data)
    auroc[firing == 0] = np.nan
    random_auroc = _context_aurocs(*((h - model.mean) @ drawn.T for h in (data.train, data.test)), data=data)[1]
    wanted = _ablated(auroc, recurs, rule=rule)
    anywhere = random_directions(rule.num_draws, like=data.train.shape[1], stream=stream)
    effect, random_effect = _effects(model, codes, wanted, data=data, directions=anywhere)
    return FeatureTable(
        firing, recurrence, of_random, recurs, context, auroc, random_auroc, effect, random_effect, rule
    )


def context_aurocs(scores: Floats, contexts: Ints, *, names: Ints) -> Floats:
    """P(score of a row of context c > score of another row), ties by half.

    Args:
        scores: float64[n, K].
        contexts: int64[n]; rows with a negative one are left out.
        names: int64[C], the contexts c.

    Returns:
        float64[K, C], NaN where a context has all rows or none.
    """
    known = contexts >= 0
    ranks = rankdata(scores[known], axis=0)
    of_context = contexts[known][:, None] == names
    count = of_context.sum(axis=0)
    others = known.sum() - count
    wins = ranks.T @ of_context - count * (count + 1) / 2.0
    return np.asarray(np.divide(wins, count * others, out=np.full(wins.shape, np.nan), where=count * others > 0))


def ablation_effect(activations: Floats, changes: Floats, *, value: Readout) -> float:
    """Rms of V(h + change) - V(h), in standard deviations of V over the rows [m, d]; NaN where V is constant."""
    before = value(activations)
    spread = float(before.std())
    return float(np.sqrt(((value(activations + changes) - before) ** 2).mean())) / spread if spread > 0 else np.nan


def _recurrence(fit: Fit, data: SparseData, *, drawn: Floats) -> tuple[Floats, Floats]:
    """Mean over the other seeds of the cosine with the nearest alive feature, of own features and of drawn ones."""
    own = fit.models[0].dictionary
    others = [found for model in fit.models[1:] if len(found := alive_dictionary(model, model.encode(data.test)))]
    if not others:
        return np.full(len(own), np.nan), np.ones(len(drawn))
    of_own, of_drawn = (np.mean([max_cosines(d, other) for other in others], axis=0) for d in (own, drawn))
    return of_own, of_drawn


def _context_aurocs(train: Floats, test: Floats, *, data: SparseData) -> tuple[Ints, Floats]:
    """The context that every column tells best in training, and its AUROC on held-out rows."""
    unknown = np.full(train.shape[1], -1, dtype=np.int64), np.full(train.shape[1], np.nan)
    if data.train_contexts is None or data.test_contexts is None:
        return unknown
    names = np.intersect1d(data.train_contexts, data.test_contexts)
    names = names[names >= 0]
    if len(names) < 2:
        return unknown
    best = context_aurocs(train, data.train_contexts, names=names).argmax(axis=1)
    held_out = context_aurocs(test, data.test_contexts, names=names)
    return names[best], held_out[np.arange(len(best)), best]


def _ablated(auroc: Floats, recurs: Bools, *, rule: ContextRule) -> Ints:
    """Features that may count as ones of context if V moves, the highest AUROC first."""
    candidates = np.flatnonzero((np.nan_to_num(auroc) > rule.auroc) & recurs)
    return candidates[np.argsort(-auroc[candidates], kind="stable")][: rule.most_ablated]


def _effects(
    model: SparseAutoencoder, codes: Floats, wanted: Ints, *, data: SparseData, directions: Floats
) -> tuple[Floats, Floats]:
    """Effects of setting features to their means, and the largest of the same changes along random directions."""
    effect, largest = np.full(codes.shape[1], np.nan), np.full(codes.shape[1], np.nan)
    value = data.readouts.value
    if value is None:
        return effect, largest
    for feature in wanted:
        amounts = codes[:, feature].mean() - codes[:, feature, None]
        effect[feature] = ablation_effect(data.test, amounts * model.dictionary[feature], value=value)
        largest[feature] = max(ablation_effect(data.test, amounts * each, value=value) for each in directions)
    return effect, largest


def _share(chosen: Bools, *, known: bool) -> float:
    return float(chosen.mean()) if known and len(chosen) else np.nan
