"""ROUTE-RAND: labels move to other episodes and nothing is lost."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shards.controls import draw_donors, shuffle_event_share


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def offsets_of(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


@settings(max_examples=50, deadline=None)
@given(num_episodes=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_donors_are_one_cycle(num_episodes: int, seed: int) -> None:
    donors = draw_donors(num_episodes, generator(seed))
    episode, seen = 0, []
    for _ in range(num_episodes):
        seen.append(episode)
        episode = int(donors[episode])
    assert episode == 0
    assert sorted(seen) == list(range(num_episodes))


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=2, max_size=12), seed=st.integers(0, 2**32 - 1))
def test_every_episode_gets_the_label_of_another(lengths: list[int], seed: int) -> None:
    offsets = offsets_of(lengths)
    own = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths)).float()
    shuffled = shuffle_event_share(own.unsqueeze(1), offsets, generator=generator(seed)).squeeze(1)
    labels = [shuffled[a:b].unique() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    assert all(len(label) == 1 for label in labels)
    received = [int(label) for label in labels]
    assert sorted(received) == list(range(len(lengths)))
    assert all(donor != episode for episode, donor in enumerate(received))
    assert received == draw_donors(len(lengths), generator(seed)).tolist()


def test_course_of_the_donor_is_followed() -> None:
    """Two episodes must exchange: one of 4 steps and one of 2."""
    share = torch.tensor([[0.0], [1.0], [2.0], [3.0], [10.0], [11.0]])
    shuffled = shuffle_event_share(share, offsets_of([4, 2]), generator=generator())
    assert shuffled.squeeze(1).tolist() == [10.0, 10.0, 11.0, 11.0, 0.0, 2.0]


def test_withheld_labels_move_along() -> None:
    share = torch.tensor([[torch.nan, torch.nan], [0.25, 0.75]])
    shuffled = shuffle_event_share(share, offsets_of([1, 1]), generator=generator())
    assert shuffled[0].tolist() == [0.25, 0.75]
    assert bool(shuffled[1].isnan().all())


def test_seed_fixes_the_shuffle() -> None:
    share, offsets = torch.rand(300, 2, generator=generator()), offsets_of([3] * 100)
    first, again, other = (shuffle_event_share(share, offsets, generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("offsets", [[0, 2, 2, 4], [1, 2, 4], [0, 2, 3], [0], [[0, 4]]])
def test_offsets_that_do_not_cut(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="do not cut 4 steps into episodes"):
        shuffle_event_share(torch.zeros(4, 2), torch.tensor(offsets), generator=generator())


def test_one_episode_has_no_other() -> None:
    with pytest.raises(ValueError, match="at least 2 episodes"):
        shuffle_event_share(torch.zeros(4, 2), torch.tensor([0, 4]), generator=generator())
