"""The imitation stage: D∘E learns to repeat recorded actions.

Shape key: n steps, b steps in a minibatch, A actions.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.agent import AlphaAgent
from agents.batches import Minibatch, features_of, frozen_features, minibatches
from agents.config import ImitationConfig
from agents.encoded import EncodedEpisodes, encode_episodes, select_episodes
from agents.losses import imitation_loss
from agents.optimization import FlatAdam, annealed
from agents.prediction import NextObservation
from agents.seeding import numpy_generator, torch_generator
from agents.streams import Indices
from agents.training_state import NOTHING_KEPT, StageKeeper, State, gather, part
from envs.episodes import Episodes
from envs.errors import UserError

Progress = Callable[[float, str], None]
Record = list[dict[str, Any]]
History = list[tuple[float, float]]


def imitate(
    agent: AlphaAgent,
    data: Episodes,
    config: ImitationConfig,
    *,
    seed: int,
    num_checkpoints: int = 10,
    inspect: Callable[[AlphaAgent, dict[str, Any]], bool] | None = None,
    progress: Progress | None = None,
    keeper: StageKeeper = NOTHING_KEPT,
) -> tuple[AlphaAgent, Record]:
    """Train D∘E by cross-entropy on the actions of episodes; V∘E keeps its weights unless it shares E.

        loss = −mean log D(a|s) + prediction_weight · error of the predicted next observation (`agents.prediction`).

    Args:
        agent: left as it is.
        data: demonstrations with observations; their labels, or else the actions themselves, are imitated, whatever
            they earned.
        config: settings.
        seed: of the held-out episodes and of the minibatches.
        num_checkpoints: rows of the record, evenly spread.
        inspect: called with the agent and each row of the record; True ends the training.
        progress: called with the share that is done, and a line.
        keeper: keeps what is needed to go on after an interruption, with equal data and the same other arguments.

    Returns:
        The trained copy, and one row per checkpoint: step, loss and gradient norm (means since the last row), accuracy
        (share of held-out steps whose most probable action is the recorded one; of all steps where none is held out).
        An expert who chooses among equal actions cannot be matched at accuracy 1. With a prediction, its error and
        that of copying, on the same steps as the accuracy.

    Raises:
        UserError: actions or observations that are not the agent's.
        NonFiniteError: an observation, a loss or a gradient is NaN or infinite; nothing was updated by it.
    """
    agent = copy.deepcopy(agent)
    wanted = data.actions if data.labels is None else data.labels
    _check_actions(wanted, agent.num_actions)
    every = encode_episodes(agent, data)
    learned, held_out = _split(data.num_episodes, config.validation_share, seed)
    encoded, steps = select_episodes(every, learned)
    actions = torch.from_numpy(wanted[steps]).to(agent.device)
    numbers = torch.from_numpy(steps).to(agent.device)
    encoder = agent.policy_encoder if config.train_encoder else None
    encoded = encoded if encoder is not None else frozen_features(agent.policy_encoder, encoded)
    predictor = _predictor(agent, every, config, played=data.actions, seed=seed)
    modules = [module for module in (encoder, agent.policy_head, predictor) if module is not None]
    optimizer = FlatAdam((p for m in modules for p in m.parameters()), max_grad_norm=config.max_grad_norm)
    batches = minibatches(
        encoded, batch_size=config.batch_size, generator=torch_generator(seed, "imitate", "minibatches"),
        whole_episodes=encoder is not None and encoder.memory_size > 0,
    )  # fmt: skip
    marks = set(np.linspace(0, config.num_updates, num_checkpoints + 1).round().astype(int)[1:].tolist())
    history = _go_on(optimizer, keeper.restore())
    first, record = optimizer.num_steps, list(keeper.record)
    # The order of the minibatches follows from the seed; those that have been used are skipped.
    for step, batch in enumerate(itertools.islice(batches, first, config.num_updates), start=first):
        features = features_of(encoder, encoded, batch, sequence_length=config.sequence_length)
        loss = imitation_loss(agent.policy_head(features), actions.index_select(0, batch.steps))
        if predictor is not None:
            loss = loss + config.prediction_weight * predictor.error(features, numbers.index_select(0, batch.steps))
        rate = annealed(config.learning_rate, step=step, num_steps=config.num_updates, anneal=config.anneal)
        history.append(optimizer.step(loss, learning_rate=rate, site="imitation"))
        if step + 1 in marks:
            judged = held_out if len(held_out) else learned
            accuracy = _accuracy(agent, every, wanted, chosen=judged)
            mean_loss, mean_norm = np.mean(history, axis=0).tolist()
            record.append({"step": step + 1, "loss": mean_loss, "gradient_norm": mean_norm, "accuracy": accuracy})
            record[-1] |= {} if predictor is None else predictor.measure(agent, judged)
            history = []
            if progress is not None:
                progress((step + 1) / config.num_updates, f"imitate: accuracy {accuracy:.3f}")
            if inspect is not None and inspect(agent, record[-1]):
                break
        keeper.keep(agent, num_steps=step + 1, state=functools.partial(_state, optimizer, history))
    optimizer.release()
    return agent, record


def _predictor(
    agent: AlphaAgent, data: EncodedEpisodes, config: ImitationConfig, *, played: Indices, seed: int
) -> NextObservation | None:
    """The predictor of the next observation where the settings ask for one; the played actions led to it."""
    if config.prediction_weight == 0.0:
        return None
    _check_actions(played, agent.num_actions)
    return NextObservation(agent, data, torch.from_numpy(played).to(agent.device), seed=seed)


def _state(optimizer: FlatAdam, history: History) -> State:
    """What `_go_on` needs; `history` holds loss and gradient norm of the steps since the last row."""
    return gather(optimizer=optimizer.get_state(), history={"since_row": np.array(history).reshape(-1, 2)})


def _go_on(optimizer: FlatAdam, state: State | None) -> History:
    """Bring the optimiser to where it was, and return the history; None is the beginning."""
    if state is None:
        return []
    optimizer.set_state(part(state, "optimizer"))
    return [(loss, norm) for loss, norm in part(state, "history")["since_row"].tolist()]


def _check_actions(actions: Indices, num_actions: int) -> None:
    if len(actions) and (actions.min() < 0 or actions.max() >= num_actions):
        seen = f"{actions.min()} to {actions.max()}"
        raise UserError(f"Recorded actions are {seen}; this agent has actions 0 to {num_actions - 1}.")


def _split(num_episodes: int, share: float, seed: int) -> tuple[Indices, Indices]:
    """Episodes to learn from and to hold out; at least one is learned from."""
    order = numpy_generator(seed, "imitate", "held out").permutation(num_episodes)
    num_held_out = min(round(share * num_episodes), num_episodes - 1)
    return np.sort(order[num_held_out:]), np.sort(order[:num_held_out])


@torch.no_grad()
def _accuracy(agent: AlphaAgent, data: EncodedEpisodes, actions: Indices, *, chosen: Indices) -> float:
    """Share of the chosen episodes' steps whose most probable action is the recorded one."""
    encoded, steps = select_episodes(data, chosen)
    features = frozen_features(agent.policy_encoder, encoded)
    everything = Minibatch(torch.arange(encoded.num_steps, device=agent.device))
    best: Tensor = agent.policy_head(features_of(None, features, everything)).argmax(-1)
    return float(np.mean(best.cpu().numpy() == actions[steps]))
