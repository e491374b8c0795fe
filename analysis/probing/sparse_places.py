"""The places of a network at which sparse features are looked for, with what follows from them.

Shapes: n rows, m held-out rows, d units, P parts of V.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.instruments.probe_input import drop_constant
from analysis.instruments.sparse_baselines import principal_components
from analysis.instruments.sparse_data import Readouts, SparseData, split_by_state, split_data
from analysis.instruments.sparse_toys import shuffled_coordinates
from analysis.probing.activity import INTERFACE, OBSERVATION, POLICY_INTERFACE, Activity, as_floats, told_contexts
from analysis.probing.material import Sample

Floats = NDArray[np.float64]
TRAINED, UNTRAINED, POLICY = "E of V, trained", "E of V, untrained", "E of D, trained"
RAW, SHUFFLED = "observation (layer 0)", "E of V, trained, each unit's rows shuffled"
HELD_OUT_SHARE, MOST_UNITS = 0.25, 256


@dataclass(frozen=True, eq=False)
class Places:
    """Activations of one sample at several places, split by state in the same way.

    Attributes:
        sample: n rows.
        seed: Of the split and of shuffling.
    """

    sample: Sample
    seed: int

    @cached_property
    def held_out(self) -> NDArray[np.bool_]:
        """bool[n]."""
        return split_by_state(self.sample.states.ids, share=HELD_OUT_SHARE, seed=self.seed)

    def interface(self, activity: Activity) -> SparseData:
        """What V reads, with V, its parts where there are several, and D where it reads the same."""
        network, test = activity.network, activity.take(self.held_out)
        readouts = Readouts(
            value=partial(test.value_of, INTERFACE),
            parts=partial(_part_values, test) if network.value_head.num_parts > 1 else None,
            logits=partial(test.logits_of, POLICY_INTERFACE) if network.shared else None,
        )
        return self._data(activity.site(INTERFACE), readouts)

    def compared(self) -> dict[str, SparseData]:
        """The places that the interface of the trained network is held against, layer 0 last."""
        trained = self.sample.trained
        features = trained.site(INTERFACE).astype(np.float64)
        places = {
            UNTRAINED: self.interface(self.sample.untrained),
            SHUFFLED: self._data(shuffled_coordinates(features, seed=self.seed)),
        }
        if not trained.network.shared:
            logits = partial(trained.take(self.held_out).logits_of, POLICY_INTERFACE)
            places[POLICY] = self._data(trained.site(POLICY_INTERFACE), Readouts(logits=logits))
        return places | {RAW: self._data(leading_units(trained.site(OBSERVATION)))}

    def _data(self, units: NDArray[np.floating], readouts: Readouts | None = None) -> SparseData:
        return split_data(
            np.asarray(units, dtype=np.float64),
            self.sample.states.ids,
            held_out=self.held_out,
            contexts=self.sample.states.contexts,
            readouts=readouts,
        )


def leading_units(units: NDArray[np.floating]) -> Floats:
    """Columns that vary; where more than `MOST_UNITS` do, as many leading principal components of them."""
    varying = drop_constant(units)[0]
    if varying.shape[1] <= MOST_UNITS:
        return varying
    return principal_components(varying, num_active=MOST_UNITS).encode(varying)


@torch.no_grad()
def _part_values(activity: Activity, features: Floats) -> Floats:
    """What each part of V says of features [m, d], float64[m, P]."""
    head = activity.network.value_head
    given = torch.as_tensor(features.astype(np.float32)).to(activity.network.device)
    return as_floats(head(given, told_contexts(activity.network, activity.states)).part_values)
