"""What there is to see of one environment, an episode at a time: pictures, text, and its numbers by their names.

Every episode is that of a batch of one env, so that whatever plays in batches (`agents.actors`, `agents.playing`) can
be looked at as well.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv
from numpy.typing import NDArray

from agents.agent import num_actions_of
from agents.environments import Vector, discount_of, make_vector, world_of
from agents.observations import ObservationSpec
from agents.streams import EnvStream, Indices, Observations, Transitions
from analysis.terminal import half_blocks
from envs.errors import UserError
from envs.render import draw_letters, name_context, name_shown, render_rgb


@dataclass(frozen=True)
class Moment:
    """A state, and the step that led to it.

    Attributes:
        level: -1 where there is none.
        step: Number of the step, 0 for the first state of an episode.
        action: Name of the action, "" before the first one.
        reward: Of the step.
        total: Sum of the rewards so far.
        discounted: Σ_t γ^t r_t so far.
        event: Name of the reinforcement event, "" for none.
        components: Reward components of the step that are not 0.
        ending: "terminated", "truncated", or "" while the episode goes on.
    """

    level: int
    step: int = 0
    action: str = ""
    reward: float = 0.0
    total: float = 0.0
    discounted: float = 0.0
    event: str = ""
    components: Mapping[str, float] = dataclasses.field(default_factory=dict)
    ending: str = ""

    def words(self) -> str:
        """The step in one line."""
        if self.step == 0:
            return "step 0" + (f", level {self.level}" if self.level >= 0 else "")
        parts = [f"step {self.step}: {self.action}", f"reward {self.reward:.3g}", f"return {self.total:.3g}"]
        parts += [f"event {self.event}"] if self.event else []
        if self.components:
            parts.append("components " + " ".join(f"{name} {value:.3g}" for name, value in self.components.items()))
        return ", ".join(parts + ([self.ending] if self.ending else []))


class ShownStream(EnvStream):
    """The stream of one env, with the moment that it has come to.

    Attributes:
        moment: The state that the env shows now, and the step that led to it.
        texts: Parts of the observation that are text, by name, which no agent sees.
    """

    def __init__(self, env: Vector, *, seeds: Sequence[int] | int, spec: ObservationSpec, show: Show) -> None:
        """Reset the env."""
        self._named, self._spec = show, spec
        self.texts: dict[str, str] = {}
        super().__init__(env, seeds=seeds, flatten=self._flatten_and_note)
        self.moment = Moment(level=int(self.levels[0]))

    def _flatten_and_note(self, observations: Any) -> Observations:
        if isinstance(observations, Mapping):
            self.texts = {name: observations[name][0] for name in self._spec.dropped if name in observations}
        return self._spec.select(observations)

    def step(self, actions: Indices, *, with_rows: bool = False) -> Transitions:
        """Act (see `EnvStream.step`), and note the moment."""
        taken = super().step(actions, with_rows=with_rows)
        before, show, world, reward = self.moment, self._named, self._named.world, float(taken.rewards[0])
        components = [] if world is None or taken.components is None else taken.components[0].tolist()
        names = world.component_names if world is not None else ()
        event = int(taken.events[0])
        self.moment = Moment(
            level=before.level, step=before.step + 1, action=show.action_names[int(actions[0])], reward=reward,
            total=before.total + reward, discounted=before.discounted + show.discount**before.step * reward,
            event=world.event_names[event] if world is not None and event >= 0 else "",
            components={name: value for name, value in zip(names, components, strict=True) if value},
            ending="terminated" if taken.terminated[0] else "truncated" if taken.truncated[0] else "",
        )  # fmt: skip
        return taken


class Show:
    """One environment to look at.

    Attributes:
        world: The world, None for a foreign environment.
        action_names: A names; those of a foreign environment's Enum `actions` where it has one, else numbers.
        discount: γ of the discounted return.
    """

    def __init__(self, env_id: str, *, options: Mapping[str, Any], split: str | None, as_text: bool) -> None:
        """Find out how the environment can be drawn.

        Args:
            env_id: Gymnasium id.
            options: Of the world, or of `gymnasium.make`.
            split: "train" or "test"; None for the training levels, and for foreign environments, which have no levels.
            as_text: Whether `text` will be asked for, or `picture`.

        Raises:
            UserError: An unknown id or option, actions that are not Discrete, a split of a foreign environment, or one
                that has no picture.
        """
        self.world, self.discount = world_of(env_id, options), discount_of(env_id, options)
        self._env_id, self._options, self._split = env_id, dict(options), split or "train"
        if self.world is not None:
            self.action_names = self.world.action_names
            return
        if split is not None:
            raise UserError(f"{env_id} has no split {split!r}: foreign environments differ by seed; leave --split out.")
        self._mode, self.action_names = _look_into(env_id, self._options, as_text=as_text)
        drawn = {} if self._mode is None else {"render_mode": self._mode}
        self._foreign = make_vector(env_id, 1, options=self._options | drawn)

    def begin(self, seeds: Sequence[int] | int, *, episode: int, spec: ObservationSpec | None = None) -> ShownStream:
        """Begin an episode.

        Args:
            seeds: One number for a world of ours, a list of one for a foreign environment.
            episode: Its number; in a world of ours the episode is the first one of this env of the seed.
            spec: What to keep of observations; None for all but text.
        """
        env = self._foreign if self.world is None else make_vector(
            self._env_id, 1, options=self._options, split=self._split, first_env=episode
        )  # fmt: skip
        spec = spec or ObservationSpec.from_space(env.single_observation_space)
        return ShownStream(env, seeds=seeds, spec=spec, show=self)

    def text(self, stream: ShownStream, *, with_context: bool = False) -> str:
        """The state of a stream as text, without its true context unless that is asked for."""
        if self.world is not None:
            lines = [draw_letters(self.world, _row(stream)), *self.shown(stream)]
            lines += [f"context: {name_context(self.world, _row(stream))}"] if with_context else []
            return "\n".join(lines)
        if self._mode is None:
            return "\n".join(f"{name or 'observation'}: {array[0]}" for name, array in stream.observations.items())
        drawn = half_blocks(self.picture(stream)) if self._mode == "rgb_array" else str((stream.env.render() or "")[0])
        return "\n".join([drawn.rstrip(), *self.shown(stream)])

    def shown(self, stream: ShownStream) -> list[str]:
        """What the agent's vector shows, or what text tells people; as many lines at every state."""
        if self.world is None:
            return [f"{name}: {text}" for name, text in stream.texts.items()]
        return [f"shown: {name_shown(self.world, _row(stream))}"] if self.world.vector_names else []

    def picture(self, stream: ShownStream) -> NDArray[np.uint8]:
        """The state of a stream as a picture uint8[H, W, 3]."""
        if self.world is not None:
            return render_rgb(self.world, _row(stream))
        (drawn,) = np.asarray(stream.env.render(), np.uint8)
        return np.asarray(drawn)


def _row(stream: EnvStream) -> NDArray[np.int16]:
    rows = stream.rows()
    assert rows is not None, "only worlds of ours are asked for their row"
    row: NDArray[np.int16] = rows[0]
    return row


def _look_into(env_id: str, options: Mapping[str, Any], *, as_text: bool) -> tuple[str | None, tuple[str, ...]]:
    """Render mode that serves best, None where text must do without one, and the names of the actions."""
    vector = make_vector(env_id, 1, options=options)
    assert isinstance(vector, SyncVectorEnv), "only worlds of ours have a batch of their own"
    env = vector.envs[0]
    has, names = env.metadata.get("render_modes", ()), _names_of_actions(env)
    vector.close()
    mode = next((mode for mode in ("ansi", "rgb_array") if mode in has and (as_text or mode != "ansi")), None)
    if mode is None and not as_text:
        raise UserError(f"{env_id} has no render mode 'rgb_array', it has {list(has)}; leave --out away to see text.")
    return mode, names


def _names_of_actions(env: gymnasium.Env[Any, Any]) -> tuple[str, ...]:
    numbers, named = range(num_actions_of(env.action_space)), getattr(env.unwrapped, "actions", None)
    if isinstance(named, enum.EnumMeta):
        members: Mapping[str, enum.Enum] = named.__members__
        if [member.value for member in members.values()] == list(numbers):
            return tuple(members)
    return tuple(map(str, numbers))
