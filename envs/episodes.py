"""Recorded episodes: what an agent saw, did and got, in memory and as a file that anybody can read.

Shapes: E episodes, n steps of all episodes together, C reward components, R entries of a state's row. Episode e is the
steps offsets[e] .. offsets[e + 1] - 1; its last observation stands in `final_observations[e]`.

The file is a zip archive of .npy arrays (`numpy.load(path)["actions"]` reads one), none of which holds Python objects:

- the fields of `Episodes` by name; `observations/NAME` and `final_observations/NAME` for each part of the observation;
- `header`, a text (0-d array) of JSON: format, version, env_id, options, discount, the SHA-256 of the arrays and of the
  observations, and whether the observations are in the file ("stored") or follow from the rows ("rebuilt").

Observations are left out where `env_id` is a world of this package and its `observe` gives them back bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.archives import Arrays, digest, unzipped, zipped
from envs.errors import NonFiniteError, UserError
from envs.registry import is_world_id, make_world
from envs.storage import write_bytes

VERSION = 1
_FORMAT = "valuelab episodes"
PER_STEP = ("actions", "rewards", "components", "events", "contexts", "rows", "labels")
PER_EPISODE = ("terminated", "truncated", "levels", "final_contexts", "final_rows")
_DTYPES = dict.fromkeys(("actions", "labels", "events", "contexts", "offsets", "levels", "final_contexts"), "int64")
_DTYPES |= dict.fromkeys(("rewards", "components"), "float64") | dict.fromkeys(("rows", "final_rows"), "int16")
_DTYPES |= dict.fromkeys(("terminated", "truncated"), "bool")
_OBSERVED = ("observations", "final_observations")


@dataclass(frozen=True, eq=False)
class Episodes:
    """Whole episodes, end to end.

    Attributes:
        observations: Arrays [n, ...] by name: what was seen before each action.
        final_observations: Arrays [E, ...]: what was seen after the last action, for bootstrapping where an episode was
            truncated or is not over.
        actions: int64[n].
        rewards: float64[n], of the step that the action took.
        events: int64[n], reinforcement event of the step, -1 for none or unknown.
        contexts: int64[n], context of the state before the action, -1 for none or unknown.
        terminated: bool[E], the world ended the episode.
        truncated: bool[E], a time limit did; neither is set where the recording stopped.
        offsets: int64[E + 1], from 0 to n, strictly ascending.
        levels: int64[E], level of a world of this package, or the seed that a foreign environment was reset with; -1
            for unknown.
        discount: γ in [0, 1] that the episodes are meant to be judged with.
        env_id: Gymnasium id.
        options: JSON object; for a world of this package, the fields of its config.
        components: float64[n, C], named reward components of the step, or None.
        rows: int16[n, R], state before each action, or None.
        final_rows: int16[E, R], or None.
        final_contexts: int64[E], or None.
        labels: int64[n], what should have been done in place of each action, or None where that is not said.
    """

    observations: Arrays
    final_observations: Arrays
    actions: NDArray[np.int64]
    rewards: NDArray[np.float64]
    events: NDArray[np.int64]
    contexts: NDArray[np.int64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    levels: NDArray[np.int64]
    discount: float
    env_id: str
    options: dict[str, Any] = field(default_factory=dict)
    components: NDArray[np.float64] | None = None
    rows: NDArray[np.int16] | None = None
    final_rows: NDArray[np.int16] | None = None
    final_contexts: NDArray[np.int64] | None = None
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Bring the options to JSON's types, and refuse fields that contradict each other."""
        object.__setattr__(self, "options", _as_json(self.options))
        offsets = self.offsets
        if offsets.ndim != 1 or offsets.size < 2 or offsets[0] != 0 or (np.diff(offsets) < 1).any():
            raise UserError("Episodes.offsets must rise strictly from 0, one step or more for each of >= 1 episodes.")
        if not 0 <= self.discount <= 1:
            raise UserError(f"Episodes.discount is {self.discount}; it must lie in [0, 1].")
        for name, array in _arrays(self).items():
            per_step = name in PER_STEP or name.startswith(_OBSERVED[0])
            _check(name, array, length=self.num_steps if per_step else self.num_episodes + (name == "offsets"))
        if not np.isfinite(self.rewards).all():
            raise NonFiniteError("Episodes.rewards", step=int(np.argmin(np.isfinite(self.rewards))))

    @property
    def num_steps(self) -> int:
        """Number n of steps."""
        return int(self.offsets[-1])

    @property
    def num_episodes(self) -> int:
        """Number E of episodes."""
        return int(self.offsets.size - 1)


def episode_of_step(episodes: Episodes) -> NDArray[np.int64]:
    """Index of the episode that each step belongs to, int64[n]."""
    return np.repeat(np.arange(episodes.num_episodes), np.diff(episodes.offsets))


def episode_returns(episodes: Episodes, *, discount: float = 1.0) -> NDArray[np.float64]:
    """Σ_t γ^t r_t of each episode, float64[E]; nothing is added for what a truncated episode would still have got."""
    age = np.arange(episodes.num_steps) - np.repeat(episodes.offsets[:-1], np.diff(episodes.offsets))
    returns: NDArray[np.float64] = np.add.reduceat(episodes.rewards * discount**age, episodes.offsets[:-1])
    return returns


def concatenate(parts: Sequence[Episodes]) -> Episodes:
    """Put episodes of the same environment end to end.

    Raises:
        UserError: No part, or parts that differ in environment, options, discount or in which arrays they have.
    """
    if not parts:
        raise UserError("concatenate: no episodes were given; give at least one part.")
    for name in ("env_id", "options", "discount"):
        if any(getattr(part, name) != getattr(parts[0], name) for part in parts):
            raise UserError(f"concatenate: the parts differ in {name}; join only recordings of one environment.")
    tables = [_arrays(part) for part in parts]
    if any(table.keys() != tables[0].keys() for table in tables):
        raise UserError("concatenate: the parts do not all have the same arrays; record them in the same way.")
    joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0] if name != "offsets"}
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    joined["offsets"] = np.concatenate([[0], np.cumsum(lengths)])
    return _from_arrays(joined, env_id=parts[0].env_id, options=parts[0].options, discount=parts[0].discount)


def save_episodes(path: str | Path, episodes: Episodes) -> None:
    """Write the file described above, atomically; equal episodes give equal bytes.

    Raises:
        UserError: The folder cannot be written.
    """
    arrays = _arrays(episodes)
    observed = {name: array for name, array in arrays.items() if name.startswith(_OBSERVED)}
    try:
        rebuilt = _observe(episodes)
    except ValueError:  # Options or rows of some other world: then nothing follows from the rows.
        rebuilt = {}
    follows = bool(rebuilt) and (not observed or digest(observed) == digest(rebuilt))
    if follows:
        arrays = {name: array for name, array in arrays.items() if name not in observed}
        observed = rebuilt
    header = {
        "format": _FORMAT,
        "version": VERSION,
        "env_id": episodes.env_id,
        "options": episodes.options,
        "discount": episodes.discount,
        "observations": "rebuilt" if follows else "stored",
        "observations_sha256": digest(observed),
    }
    header["sha256"] = digest(arrays, text=json.dumps(header, sort_keys=True))
    write_bytes(path, zipped({"header": np.array(json.dumps(header, sort_keys=True)), **arrays}))


def load_episodes(path: str | Path) -> Episodes:
    """Read what `save_episodes` wrote, check every byte, and rebuild the observations where they were left out.

    Raises:
        UserError: The file is missing, truncated, altered, of a newer version or no such file; or the world no longer
            gives the observations that were recorded.
    """
    try:
        arrays = unzipped(Path(path).read_bytes())
        header = json.loads(str(arrays.pop("header")))
        if header["format"] == _FORMAT and header["version"] > VERSION:
            raise UserError(f"it has version {header['version']}, this program reads up to {VERSION}; update valuelab")
        sha256 = header.pop("sha256")
        if sha256 != digest(arrays, text=json.dumps(header, sort_keys=True)):
            raise UserError("its content does not match its SHA-256")
        return _rebuilt(arrays, header)
    # A damaged archive can raise anything, from a wrong checksum to a demand for a password.
    except Exception as error:
        raise UserError(
            f"Episodes file {str(path)!r} cannot be used: {error or type(error).__name__}. "
            "Restore a copy of it or record the episodes again."
        ) from error


def _rebuilt(arrays: Arrays, header: dict[str, Any]) -> Episodes:
    """Episodes of a file's arrays, observations included."""
    known = {name: header[name] for name in ("env_id", "options", "discount")}
    bare = _from_arrays(arrays, **known)
    if header["observations"] == "stored":
        return bare
    observed = _observe(bare)
    if digest(observed) != header["observations_sha256"]:
        raise UserError(f"{bare.env_id} no longer gives the observations that were recorded; use the older valuelab")
    return _from_arrays({**arrays, **observed}, **known)


def _observe(episodes: Episodes) -> Arrays:
    """Observations of the rows in this package's world, named as in the file; {} where there is no world or no rows."""
    if episodes.rows is None or episodes.final_rows is None or not is_world_id(episodes.env_id):
        return {}
    config = {name: value for name, value in episodes.options.items() if name != "split"}
    world = make_world(episodes.env_id, **config)
    pairs = zip(_OBSERVED, (episodes.rows, episodes.final_rows), strict=True)
    return {f"{name}/{part}": array for name, rows in pairs for part, array in world.observe(rows).items()}


def _arrays(episodes: Episodes) -> Arrays:
    """All arrays by their names in the file."""
    fields = {name: getattr(episodes, name) for name in (*PER_STEP, *PER_EPISODE, "offsets")}
    arrays = {name: array for name, array in fields.items() if array is not None}
    for name in _OBSERVED:
        arrays |= {f"{name}/{part}": array for part, array in getattr(episodes, name).items()}
    return arrays


def _from_arrays(arrays: Arrays, *, env_id: str, options: dict[str, Any], discount: float) -> Episodes:
    """Episodes from arrays by their names in the file."""
    fields: dict[str, Any] = {name: {} for name in _OBSERVED}
    for name, array in arrays.items():
        group, _, part = name.partition("/")
        (fields[group] if part else fields)[part or name] = array
    return Episodes(**fields, env_id=env_id, options=options, discount=discount)


def _as_json(options: dict[str, Any]) -> dict[str, Any]:
    """The options as a file would give them back: tuples become lists."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(options, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"Episodes.options is no JSON object ({error}); keep to numbers, text and lists.") from error
    return plain


def _check(name: str, array: NDArray[Any], *, length: int) -> None:
    """Refuse an array of another length or type; observations may be of any type but objects."""
    dtype = _DTYPES.get(name, str(array.dtype))
    if len(array) != length or str(array.dtype) != dtype or array.dtype.hasobject:
        raise UserError(f"Episodes.{name} has {len(array)} entries of {array.dtype}; it takes {length} of {dtype}.")
