"""The rules of the checker: what a sound env does, and what to do where it does not.

A fault makes results wrong or irreproducible. A warning is allowed by Gymnasium, but somebody will trip over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: As findings and tests call it.
        sound: What a sound env does.
        cure: What to change where it does not.
        severity: "fault" or "warning".
    """

    name: str
    sound: str
    cure: str
    severity: Literal["fault", "warning"] = "fault"


RAISES = Rule(
    "raises",
    "make, reset and step work with every valid action",
    "read the error and mend the line that raised it; an action that is not allowed in a state must do nothing",
)
RESULT_SHAPE = Rule(
    "result-shape",
    "reset returns (observation, info), and step (observation, reward, terminated, truncated, info)",
    "return these tuples, and let seed and options be keyword arguments that default to None",
)
SPACES = Rule(
    "spaces",
    "observation_space and action_space are Gymnasium spaces that never change",
    "set both in __init__ and leave them alone; what varies belongs into the observation",
)
OBSERVATION_TYPE = Rule(
    "observation-type",
    "observations have the type, shape and dtype that the space declares",
    "convert to the declared dtype and shape, for instance np.asarray(x, space.dtype), or declare what is returned",
)
OBSERVATION_RANGE = Rule(
    "observation-range",
    "observations lie in the space, late in an episode as well",
    "widen the bounds of the space, or clip or normalise the value; look at counters and positions that keep growing",
)
NOT_FINITE = Rule(
    "not-finite",
    "observations and rewards hold neither NaN nor infinity",
    "guard the division, logarithm or root that makes it",
)
REWARD_TYPE = Rule("reward-type", "the reward is a number", "return float(reward)")
FLAG_TYPE = Rule(
    "flag-type", "terminated and truncated are booleans", "return bool(terminated), bool(truncated), both at every step"
)
INFO_TYPE = Rule("info-type", "info is a dict at every reset and step", "return {} where there is nothing to say")
OBSERVATION_SHARED = Rule(
    "observation-shared",
    "what was returned belongs to the caller: later steps do not change it, and writing into it changes no later step",
    "return a copy (array.copy(), a new dict), not the env's own buffer",
)
ACTION_CHANGED = Rule("action-changed", "step leaves the action as it is", "copy the action before changing it")
NONDETERMINISM = Rule(
    "nondeterminism",
    "the same seed and the same actions give the same episode in every fresh instance",
    "draw from self.np_random only; look for the clock, unseeded generators, threads, and counters kept on the class",
)
GLOBAL_CHANCE = Rule(
    "global-chance",
    "Python's and NumPy's global generators have no say, and are left as they are",
    "draw from self.np_random instead of random.* and np.random.*, and seed neither",
)
OTHER_PROCESS = Rule(
    "other-process",
    "the same seed and the same actions give the same episode in another process",
    "do not iterate over sets of strings nor use hash() or id(): sort first",
)
LEFTOVER_STATE = Rule(
    "leftover-state",
    "a reset leaves nothing of the last episode",
    "set every attribute that step changes in reset, with a seed and without",
)
INSTANCES = Rule(
    "instances",
    "two instances do not disturb each other",
    "keep state on self: no mutable class attributes, module globals or default arguments",
)
SHARED_SPACES = Rule(
    "shared-spaces",
    "each instance has spaces of its own, since a space holds a generator",
    "make the spaces in __init__, not on the class",
    "warning",
)
SEED_IGNORED = Rule(
    "seed-ignored",
    "the seed given to reset decides the episode",
    "call super().reset(seed=seed) first in reset, and draw everything from self.np_random",
)
SEED_ALIASED = Rule(
    "seed-aliased",
    "two seeds give two streams of episodes, neither equal nor shifted",
    "hand the whole seed to super().reset(seed=seed); derive no seeds by arithmetic (seed + episode), spawn them",
)
UNSEEDED_REPEATS = Rule(
    "unseeded-repeats",
    "reset() without a seed goes on to a new episode",
    "reseed only if seed is not None, and let seed default to None",
)
LIMIT_AS_TERMINATION = Rule(
    "limit-as-termination",
    "a time limit is reported as truncated",
    "return truncated=True and terminated=False at the limit; if time is part of the task, show it in the observation",
)
RESET_OBSERVATION_AT_END = Rule(
    "reset-observation-at-end",
    "the last observation of an episode shows its last state",
    "do not call reset inside step: the caller, or a vector env, resets",
)
PAYS_AFTER_END = Rule(
    "pays-after-end",
    "nothing is paid after the end of an episode",
    "raise gymnasium.error.ResetNeeded in step after the end, or pay 0",
    "warning",
)
STEP_BEFORE_RESET = Rule(
    "step-before-reset",
    "step before the first reset is refused",
    "raise gymnasium.error.ResetNeeded, or make the env by gymnasium.make, which adds the check",
    "warning",
)
INVALID_ACTION = Rule(
    "invalid-action",
    "an action outside the action space is refused",
    "raise an error in step for an action that the space does not contain",
    "warning",
)
METADATA = Rule(
    "metadata",
    "metadata names render_modes, and render_fps where there are any",
    'set metadata = {"render_modes": [...], "render_fps": ...} on the class',
    "warning",
)
RENDER = Rule(
    "render",
    "render returns a frame of the declared kind in every mode but human, without a display",
    'return uint8[height, width, 3] for "rgb_array" and text for "ansi", drawn without a window',
)
RENDER_CHANGES_STATE = Rule(
    "render-changes-state",
    "rendering changes nothing",
    "compute frames from the state alone: no draws from self.np_random, no counters in render",
)
RENDER_SHARED = Rule(
    "render-shared", "a frame that was returned stays as it is", "return a copy of the frame, not the canvas"
)
CLOSE = Rule("close", "close works, twice as well, and leaves other instances alone", "let close forget what it closed")

RULES: tuple[Rule, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Rule))
