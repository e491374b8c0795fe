"""Settings that suit an environment."""

from __future__ import annotations

from agents.presets import recommended


def test_long_episodes_are_fewer_whether_an_id_or_an_option_makes_them_long() -> None:
    plain = recommended("ValueLab/MultiNeed-v0")
    for variant, options in (("Continuing", {"continuing": True}), ("First", {"context": "first"})):
        by_option = recommended("ValueLab/MultiNeed-v0", options=options)
        assert by_option == recommended(f"ValueLab/MultiNeed-{variant}-v0")
        assert by_option.value.num_episodes < plain.value.num_episodes
