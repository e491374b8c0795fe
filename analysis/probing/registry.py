"""The instruments by name. To add one, write its module with an `INSTRUMENT` and name it here.

Modules are imported when they are asked for, so that the command line can check names without torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from envs.errors import UserError, nearest

if TYPE_CHECKING:
    from analysis.probing.instrument import Instrument

INSTRUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "readability": "analysis.probing.readability",
        "generalisation": "analysis.probing.generalisation",
        "context": "analysis.probing.context",
        "mediation": "analysis.probing.mediation",
        "erasure": "analysis.probing.erasure",
        "rlace": "analysis.probing.rlace",
        "outcomes": "analysis.probing.outcomes",
        "tails": "analysis.probing.tails",
        "singular": "analysis.probing.singular",
        "truth": "analysis.probing.truth",
        "sparse_features": "analysis.probing.sparse_features",
        "training": "analysis.probing.training",
    }
)
"""Name -> module. Reports follow this order."""


def instrument(name: str) -> Instrument:
    """The instrument called `name`.

    Raises:
        UserError: there is none; names the nearest one.
    """
    require_instruments([name])
    found: Instrument = importlib.import_module(INSTRUMENTS[name]).INSTRUMENT
    return found


def instruments(names: Sequence[str] = ()) -> tuple[Instrument, ...]:
    """The instruments called `names`, or all that are not slow, in the order of the registry.

    Raises:
        UserError: an unknown name.
    """
    require_instruments(names)
    chosen = [instrument(name) for name in INSTRUMENTS if not names or name in names]
    return tuple(one for one in chosen if names or not one.is_slow)


def require_instruments(names: Sequence[str]) -> None:
    """Refuse a name that no instrument has; imports none of them."""
    for name in names:
        if name not in INSTRUMENTS:
            raise UserError(
                f"There is no instrument {name!r}; there are {', '.join(INSTRUMENTS)}.{nearest(name, INSTRUMENTS)}"
            )
