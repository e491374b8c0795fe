"""Does a network write what it holds as sums of few features out of many, and would anything show them?

A tiny reconstruction error, a few active codes, and features that look like something are had on noise as well. So the
same autoencoders are trained from several seeds, and their agreement is held against directions drawn at random; beside
them stand dictionaries of which one half was never trained, PCA, ICA, k-means and a random dictionary. Whoever calls
this runs it on layer 0, on the untrained network, on shuffled coordinates and on noise as well (`null_activations`),
and claims differences only.

    data = split_data(h, states, held_out=split_by_state(states, share=0.25, seed=0))
    report = sparse_features(data, seed=0)
    report.shown.verdict

Shapes: n rows, d units, K features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis.instruments import sparse_baselines as baselines
from analysis.instruments.sparse_autoencoder import AutoencoderSettings, Coder
from analysis.instruments.sparse_contexts import ContextRule, FeatureTable, feature_table
from analysis.instruments.sparse_data import SparseData
from analysis.instruments.sparse_fits import Fit, Reconstruction, fit_autoencoders, reconstruction_of
from analysis.instruments.sparse_toys import matched_noise, shuffled_coordinates
from envs.errors import UserError, require_integer

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SparsePlan:
    """Which autoencoders are trained. What is shown first is fixed here, before anything is trained.

    Attributes:
        penalties: L1 weights.
        active: k of TopK; the first one is shown.
        expansion: K over d of the dictionaries that are shown and compared.
        other_expansions: K over d of those that are trained besides, for the map over (sparsity, K); () for none.
        most_features: No dictionary has more features.
        num_seeds: At least 2, better 3.
        training: Steps, batch and learning rate; K and sparsity are set here.
        rule: When a feature counts as one of context.
    """

    penalties: tuple[float, ...] = (0.1, 0.3)
    active: tuple[int, ...] = (4, 8)
    expansion: float = 2.0
    other_expansions: tuple[float, ...] = (1.0, 4.0)
    most_features: int = 256
    num_seeds: int = 3
    training: AutoencoderSettings = field(default_factory=lambda: AutoencoderSettings(num_features=1))
    rule: ContextRule = field(default_factory=ContextRule)

    def __post_init__(self) -> None:
        """Check what the trainer does not."""
        require_integer("num_seeds", self.num_seeds, low=2, high=1000)
        if not self.active:
            raise UserError("active is (), but its first entry is what a report shows; give at least one k of TopK")

    def width(self, expansion: float, *, num_units: int) -> int:
        """K for d units."""
        return max(max(self.active), min(round(expansion * num_units), self.most_features))

    def settings(self, num_features: int, *, frozen: str = "") -> tuple[AutoencoderSettings, ...]:
        """All sparsities at one K; the one that is shown comes first."""
        base = replace(self.training, num_features=num_features, frozen=frozen)
        topk = [replace(base, num_active=k, penalty=0.0) for k in self.active]
        return (*topk, *(replace(base, num_active=None, penalty=penalty) for penalty in self.penalties))


@dataclass(frozen=True)
class Baseline:
    """A coder that is no trained autoencoder, or only half of one.

    Attributes:
        name: Its family: "PCA", "ICA", "k-means", "random dictionary", "frozen decoder", "frozen encoder".
        setting: Its sparsity in words.
        reconstruction: Of held-out rows.
    """

    name: str
    setting: str
    reconstruction: Reconstruction


@dataclass(frozen=True, eq=False)
class SparseReport:
    """What was found at one place.

    Attributes:
        fits: Of every sparsity at the plan's main K, what is shown first; then of the other K.
        baselines: On the same rows.
        features: Of the first seed of what is shown.
        num_units: d.
        num_train_states: Distinct states trained on.
        num_test_states: Distinct states held out.
    """

    fits: tuple[Fit, ...]
    baselines: tuple[Baseline, ...]
    features: FeatureTable
    num_units: int
    num_train_states: int
    num_test_states: int

    @property
    def shown(self) -> Fit:
        """The fit that the plan said would be shown."""
        return self.fits[0]


def sparse_features(
    data: SparseData, *, seed: int, plan: SparsePlan | None = None, with_baselines: bool = True
) -> SparseReport:
    """Trains the plan's autoencoders at one place, measures them, and holds them against baselines.

    Args:
        data: Activations split by state.
        seed: Of training, baselines and random directions; the same seed gives the same report.
        plan: `SparsePlan()` where left out.
        with_baselines: Whether to fit the half-frozen dictionaries, PCA, ICA, k-means and a random dictionary too.

    Returns:
        `SparseReport`. The verdict of a fit is "no features" where seeds agree less than .05 better than random
        directions.

    Cannot show: that a feature is used (only an ablation in `features` says that, and of V alone), that it means what
    its strongest states have in common, or that a network has no features where none recur.
    """
    plan = plan or SparsePlan()
    num_units = data.train.shape[1]
    main = plan.width(plan.expansion, num_units=num_units)
    widths = {plan.width(expansion, num_units=num_units) for expansion in plan.other_expansions} - {main}
    settings = [each for width in (main, *sorted(widths)) for each in plan.settings(width)]
    fits = fit_autoencoders(data, settings, num_seeds=plan.num_seeds, seed=seed)
    return SparseReport(
        fits=fits,
        baselines=tuple(baselines_of(data, plan=plan, num_features=main, seed=seed)) if with_baselines else (),
        features=feature_table(fits[0], data, seed=seed, rule=plan.rule),
        num_units=num_units,
        num_train_states=data.num_train_states,
        num_test_states=len(np.unique(data.test_states)),
    )


def baselines_of(data: SparseData, *, plan: SparsePlan, num_features: int, seed: int) -> list[Baseline]:
    """Half-frozen dictionaries at every sparsity, and classical coders at every k of the plan."""
    found = []
    for half in ("decoder", "encoder"):
        frozen = fit_autoencoders(data, plan.settings(num_features, frozen=half), num_seeds=1, seed=seed)
        found += [Baseline(f"frozen {half}", fit.settings.name, fit.reconstruction) for fit in frozen]
    return found + [
        Baseline(name, setting, reconstruction_of(coder, data))
        for name, setting, coder in _classical(data.train, plan.active, num_features=num_features, seed=seed)
    ]


def null_activations(activations: Floats, *, seed: int) -> dict[str, Floats]:
    """Rows without features that look like these: what the same autoencoders say of them is no finding.

    Returns:
        "shuffled coordinates" keeps each unit's distribution, "noise with the same covariance" keeps what units share
        to second order, and with it where the rows spread.
    """
    return {
        "shuffled coordinates": shuffled_coordinates(activations, seed=seed),
        "noise with the same covariance": matched_noise(activations, seed=seed),
    }


def _classical(
    activations: Floats, active: Sequence[int], *, num_features: int, seed: int
) -> list[tuple[str, str, Coder]]:
    """Name, setting and coder."""
    found: list[tuple[str, str, Coder]] = []
    for k in active:
        pursuit = baselines.random_pursuit(activations, num_features=num_features, num_active=k, seed=seed)
        found.append(("PCA", f"{k} components", baselines.principal_components(activations, num_active=k)))
        found.append(("random dictionary", f"pursuit {k}", pursuit))
    sources = baselines.independent_components(activations, num_active=active[0], seed=seed)
    found += [("ICA", f"largest {k}", replace(sources, num_active=min(k, len(sources.dictionary)))) for k in active]
    distinct = len(np.unique(activations, axis=0))
    centres = baselines.nearest_centres(activations, num_features=min(num_features, distinct), seed=seed)
    return [*found, ("k-means", f"{len(centres.centres)} centres", centres)]
