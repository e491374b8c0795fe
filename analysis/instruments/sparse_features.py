"""Does a network write what it holds as sums of few features out of many, and would anything show them?

A tiny reconstruction error, a few active codes, and features that look like something are had on noise as well. So the
same autoencoders are trained from several seeds, and their agreement is held against random directions and against the
same training on noise of the same covariance; beside them stand dictionaries of which one half was never trained, PCA,
ICA, k-means and a random dictionary. Whoever calls this runs it on layer 0, on the untrained network and on shuffled
coordinates as well, and claims differences only.

    data = split_data(h, states, held_out=split_by_state(states, share=0.25, seed=0))
    report = sparse_features(data, seed=0)
    report.shown.agreement.verdict

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
from envs.errors import UserError, require_integer

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SparsePlan:
    """Which autoencoders are trained. What is shown first is fixed here, before anything is trained.

    Attributes:
        num_features: K of the dictionaries that are shown and compared.
        other_widths: Further K, for the map over (L1 weight, K).
        active: k of TopK; the first one is shown.
        penalties: L1 weights; the first one is compared beside it.
        num_seeds: At least 2, better 3.
        num_noise_seeds: At least 2; of what is compared, trained on noise.
        training: Steps, batch and learning rate; K and sparsity are set here.
        rule: When a feature counts as one of context.
    """

    num_features: int = 128
    other_widths: tuple[int, ...] = (64, 256)
    active: tuple[int, ...] = (4, 2, 8)
    penalties: tuple[float, ...] = (0.1, 0.03, 0.3)
    num_seeds: int = 3
    num_noise_seeds: int = 2
    training: AutoencoderSettings = field(default_factory=lambda: AutoencoderSettings(num_features=2))
    rule: ContextRule = field(default_factory=ContextRule)

    def __post_init__(self) -> None:
        """Check what the trainer does not, and make the settings once so that theirs are checked."""
        require_integer("num_seeds", self.num_seeds, low=2, high=1000)
        require_integer("num_noise_seeds", self.num_noise_seeds, low=2, high=1000)
        for name in ("active", "penalties"):
            if not getattr(self, name):
                raise UserError(f"{name} is (), but its first entry is what a report compares; give at least one")
        self.compared()
        self.others()

    def compared(self, *, frozen: str = "") -> tuple[AutoencoderSettings, ...]:
        """TopK, which is shown, and L1."""
        base = replace(self.training, num_features=self.num_features, frozen=frozen)
        return replace(base, num_active=self.active[0]), replace(base, penalty=self.penalties[0])

    def others(self) -> tuple[AutoencoderSettings, ...]:
        """The rest of the frontier, and the rest of the map."""
        base = replace(self.training, num_features=self.num_features)
        frontier = [replace(base, num_active=k) for k in self.active[1:]]
        frontier += [replace(base, penalty=penalty) for penalty in self.penalties[1:]]
        return (*frontier, *(
            replace(base, num_features=width, penalty=penalty)
            for width in self.other_widths for penalty in self.penalties
        ))  # fmt: skip


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
        compared: TopK, which is shown, and L1, both held against noise.
        others: More sparsities and widths, for the frontier and the map; () for a place that is only compared with.
        baselines: On the same rows; () as well.
        features: Of the first seed of what is shown.
        num_units: d.
        num_train_states: Distinct states trained on.
        num_test_states: Distinct states held out.
    """

    compared: tuple[Fit, ...]
    others: tuple[Fit, ...]
    baselines: tuple[Baseline, ...]
    features: FeatureTable
    num_units: int
    num_train_states: int
    num_test_states: int

    @property
    def shown(self) -> Fit:
        """The fit that the plan said would be shown."""
        return self.compared[0]


def sparse_features(
    data: SparseData, *, seed: int, plan: SparsePlan | None = None, is_compared_only: bool = False
) -> SparseReport:
    """Trains the plan's autoencoders at one place, measures them, and holds them against baselines.

    Args:
        data: Activations split by state.
        seed: Of training, baselines and random directions; the same seed gives the same report.
        plan: `SparsePlan()` where left out.
        is_compared_only: Leaves out the frontier, the map and the baselines: for places that others are compared with.

    Returns:
        `SparseReport`. The verdict of a fit is "no features" where seeds agree less than .05 better than the same
        training on noise and than random directions.

    Cannot show: that a feature is used (only an ablation in `features` says that, and of V alone), that it means what
    its strongest states have in common, or that a network has no features where none recur.
    """
    plan = plan or SparsePlan()
    compared = fit_autoencoders(
        data, plan.compared(), num_seeds=plan.num_seeds, num_noise_seeds=plan.num_noise_seeds, seed=seed
    )
    others = () if is_compared_only else fit_autoencoders(data, plan.others(), num_seeds=plan.num_seeds, seed=seed)
    return SparseReport(
        compared=compared,
        others=others,
        baselines=() if is_compared_only else tuple(baselines_of(data, plan=plan, seed=seed)),
        features=feature_table(compared[0], data, seed=seed, rule=plan.rule),
        num_units=data.train.shape[1],
        num_train_states=data.num_train_states,
        num_test_states=len(np.unique(data.test_states)),
    )


def baselines_of(data: SparseData, *, plan: SparsePlan, seed: int) -> list[Baseline]:
    """Half-frozen dictionaries, and classical coders at every k of the plan."""
    found = []
    for half in ("decoder", "encoder"):
        fits = fit_autoencoders(data, plan.compared(frozen=half), num_seeds=1, seed=seed)
        found += [Baseline(f"frozen {half}", fit.settings.name, fit.reconstruction) for fit in fits]
    return found + [
        Baseline(name, setting, reconstruction_of(coder, data))
        for name, setting, coder in _classical(data.train, plan.active, num_features=plan.num_features, seed=seed)
    ]


def _classical(
    activations: Floats, active: Sequence[int], *, num_features: int, seed: int
) -> list[tuple[str, str, Coder]]:
    """Name, setting and coder."""
    found: list[tuple[str, str, Coder]] = []
    sources = baselines.independent_components(activations, num_active=1, seed=seed)
    for k in active:
        pursuit = baselines.random_pursuit(activations, num_features=num_features, num_active=k, seed=seed)
        found.append(("PCA", f"{k} components", baselines.principal_components(activations, num_active=k)))
        found.append(("ICA", f"largest {k}", replace(sources, num_active=min(k, len(sources.dictionary)))))
        found.append(("random dictionary", f"pursuit {k}", pursuit))
    distinct = len(np.unique(activations, axis=0))
    centres = baselines.nearest_centres(activations, num_features=min(num_features, distinct), seed=seed)
    return [*found, ("k-means", f"{len(centres.centres)} centres", centres)]
