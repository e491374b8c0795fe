"""The command line before anything heavy is imported: help, parsing, and one line for words that do not fit."""

from __future__ import annotations

import dataclasses
import io
import re
import tomllib
from pathlib import Path

import pytest

from analysis import progress
from analysis.arguments import one_line, problem_with
from analysis.cli import Command, Demo, Envs, Evaluate, Probe, Train, commands, main, parse
from analysis.cli_shown import EnvsCheck, Play, Watch
from analysis.cli_studies import Compare, Preregister


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["demo"], Demo()),
        (["envs"], Envs()),
        (["envs", "check", "X-v0", "--import", "a", "--seed", "3"], EnvsCheck("X-v0", imports=("a",), seed=3)),
        (["train", "X-v0", "--seed", "3"], Train("X-v0", seed=3)),
        (["train", "--seed=3", "X-v0"], Train("X-v0", seed=3)),
        (["train", "--import", "a", "--import", "b", "X-v0"], Train("X-v0", imports=("a", "b"))),
        (["train", "X-v0", "--option", "size=5", "--option", "dose=.1"], Train("X-v0", options=("size=5", "dose=.1"))),
        (["train", "X-v0", "--stages", "imitate", "value"], Train("X-v0", stages=("imitate", "value"))),
        (["train", "X-v0", "--value-head", "MOE", "--out", "r"], Train("X-v0", value_head="MOE", out=Path("r"))),
        (["train", "X-v0", "--value_head", "MOE", "--no-tensorboard"], Train("X-v0", value_head="MOE")),
        (["evaluate", "run", "--actor", "V1"], Evaluate(Path("run"), actor="V1")),
        (["watch", "run", "--split", "train", "--out", "a.gif"], Watch(Path("run"), split="train", out=Path("a.gif"))),
        (["play", "X-v0", "--show-context", "--record", "f"], Play("X-v0", show_context=True, record=Path("f"))),
        (["probe", "run", "--out", "there"], Probe((Path("run"),), out=Path("there"))),
        (["compare", "--arms", "MONO", "MOE", "--seeds", "5"], Compare(arms=("MONO", "MOE"), seeds=5)),
        (["preregister", "file.json", "--preset", "quick"], Preregister(file=Path("file.json"), preset="quick")),
    ],
)
def test_words_become_commands(words: list[str], command: Command) -> None:
    assert parse(words) == command


def test_settings_of_stages_are_options() -> None:
    command = parse(["train", "X-v0", "--reinforce.num-steps", "10", "--value.no-anneal", "--value.discount", "0.9"])
    assert isinstance(command, Train)
    assert command.reinforce == {"num_steps": 10}
    assert command.value == {"anneal": False, "discount": 0.9}
    assert command.imitation == {}


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([], ["no command", "train", "compare", "--help"]),
        (["trian"], ["'trian'", "demo, train", "Did you mean 'train'?"]),
        (["train"], ["needs ENV_ID"]),
        (["train", "--seed", "1"], ["needs ENV_ID"]),
        (["train", "A-v0", "B-v0"], ["'B-v0'", "ENV_ID"]),
        (["train", "A-v0", "--sede", "1"], ["'--sede'", "--value-head", "Did you mean '--seed'?"]),
        (["train", "A-v0", "--reinforce.num-step", "1"], ["Did you mean '--reinforce.num-steps'?"]),
        (["train", "A-v0", "--seed", "one"], ["--seed", "'one'", "whole number"]),
        (["train", "A-v0", "--seed", "1.5"], ["--seed", "'1.5'", "whole number"]),
        (["train", "A-v0", "--seed"], ["--seed needs a value"]),
        (["train", "A-v0", "--stages"], ["--stages needs a value", "imitate"]),
        (["train", "A-v0", "--stages", "imitat"], ["'imitat'", "imitate, reinforce, value", "Did you mean 'imitate'?"]),
        (["train", "A-v0", "--device", "cudo"], ["'cudo'", "auto, cpu, cuda", "Did you mean 'cuda'?"]),
        (["train", "A-v0", "--value.target", "monte"], ["'monte'", "monte_carlo, td_lambda"]),
        (["train", "A-v0", "--imitation.learning-rate", "fast"], ["'fast'", "a number"]),
        (["train", "A-v0", "--reinforce.num-steps", "-3"], ["num_steps", "-3", "from 0"]),
        (["train", "A-v0", "--value.uniform-share", "1.5"], ["uniform_share", "1.5", "from 0 to 1"]),
        (["train", "A-v0", "--value.discount", "nan"], ["discount", "nan", "from 0 to 1"]),
        (["evaluate", "run", "--actor", "V2"], ["'V2'", "D, V1, and search-n"]),
        (["watch", "run", "--split", "tets"], ["'tets'", "train, test", "Did you mean 'test'?"]),
        (["play"], ["needs ENV_ID"]),
        (["compare", "--preset", "frist"], ["'frist'", "quick, first", "Did you mean 'first'?"]),
        (["compare", "--seeds", "three"], ["--seeds", "'three'", "whole number"]),
        (["compare", "MONO"], ["'MONO'", "options start with --"]),
        (["preregister"], ["needs FILE"]),
        (["envs", "--all"], ["'--all'", "it has none"]),
        (["envs", "chek", "A-v0"], ["envs cannot use 'chek'", "Did you mean 'envs check'?"]),
        (["niceness"], ["niceness needs a command: solve, train", "valuelab niceness --help"]),
        (["niceness", "slove"], ["no command 'slove'", "Did you mean 'niceness solve'?"]),
        (["help"], ["unknown command 'help'", "valuelab --help"]),
        (["envs", "check", "A-v0", "--step", "9"], ["envs check has no option '--step'", "Did you mean '--steps'?"]),
    ],
)
def test_words_that_do_not_fit_are_refused_in_one_line(
    words: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    out, err = capsys.readouterr()
    assert stop.value.code == 2
    assert not out
    assert err.startswith("valuelab: ") and err.count("\n") == 1 and err.endswith("\n")
    for part in parts:
        assert part in err


def test_what_only_tyro_finds_is_one_line_too() -> None:
    box = (
        "╭─ Value error ───────────────╮\n│ Error parsing value: field is 3;      │\n│ it must be 4.   │\n"
        "│ ─────────────── │\n│ For full helptext, see valuelab train --help │\n╰───────╯\n"
    )
    assert one_line(box) == "field is 3; it must be 4."


@pytest.mark.parametrize("words", [["--help"], ["-h"], *([*name.split(), "--help"] for name in commands())])
def test_help_names_every_option(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    out, err = capsys.readouterr()
    assert not stop.value.code and not err
    if len(words) == 1:
        assert set(commands()) <= set(re.findall(r"^  (\w+(?: \w+)?)  ", out, flags=re.MULTILINE))
        return
    for field in dataclasses.fields(commands()[" ".join(words[:-1])]):
        shown = {"imports": "import", "options": "option", "run": "RUN", "file": "FILE"}
        shown["env_id"] = "CASE" if words[:2] == ["niceness", "train"] else "ENV_ID"
        assert shown.get(field.name, field.name).replace("_", "-").lower() in out.replace("_", "-").lower()


def test_a_group_of_commands_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["niceness", "--help"])
    out, err = capsys.readouterr()
    assert not stop.value.code and not err
    listed = set(re.findall(r"^  (\w+ \w+)  ", out, flags=re.MULTILINE))
    assert listed == {name for name in commands() if name.startswith("niceness ")} and "envs check" not in out


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    declared = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]["version"]
    assert (stop.value.code, capsys.readouterr().out) == (0, f"valuelab {declared}\n")


def test_help_wins_over_a_fault() -> None:
    assert problem_with(["train", "--seed", "x", "--help"], commands()) is None


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_progress_is_a_line_every_few_seconds() -> None:
    stream, clock = io.StringIO(), FakeClock()
    display = progress.Display("train", stream, clock=clock)
    for step in range(101):
        clock.now = step * 0.25
        display.tell(step / 100, f"step {step}")
    lines = stream.getvalue().splitlines()
    assert lines == [f"train: {share}%, 0:{left:02d} left, step {share}" for share, left in
                     ((20, 20), (40, 15), (60, 10), (80, 5), (100, 0))]  # fmt: skip


def test_time_that_is_left_is_told_once_it_is_founded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    stream, clock = io.StringIO(), FakeClock()
    display = progress.Display("train", stream, clock=clock)
    # A hundred seconds until the kernels are compiled, then one for each hundredth.
    for now, share in ((100, 0.01), (103, 0.04), (109, 0.10)):
        clock.now = now
        display.tell(share, "stepping")
    display.tell(0.02, "cells", seconds_left=5000)
    display.tell(0.06, "cells", seconds_left=90)
    assert stream.getvalue().splitlines() == [
        "train: 1%, stepping", "train: 4%, stepping", "train: 10%, 1:30 left, stepping", "train: 2%, cells",
        "train: 6%, 1:30 left, cells",
    ]  # fmt: skip


def test_a_piece_expects_the_rest_of_the_whole_at_the_pace_of_what_was_done() -> None:
    stream, clock = io.StringIO(), FakeClock()
    display = progress.Display("demo", stream, first=0.25, width=0.5, started=0.0, clock=clock)
    clock.now = 60.0
    display.tell(0.5, "half of it", seconds_left=30.0)
    assert stream.getvalue() == "demo: 50%, 1:00 left, half of it\n"


def test_plain_progress_says_nothing_of_short_work() -> None:
    stream = io.StringIO()
    with progress.showing("probe", stream=stream) as display:
        display.tell(0.0, "starting")
        display.tell(1.0, "ended")
    assert stream.getvalue() == ""


def test_a_journey_tells_what_is_left_of_all_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = progress.Journey("demo", {"walk": 30.0, "rest": 0.0, "run": 10.0})
    shares = []
    for name in journey.seconds:
        with journey.piece(name) as display:
            shares.append((display.first, display.first + display.width))
    assert shares == [(0.0, 0.75), (0.75, 0.75), (0.75, 1.0)]


def test_progress_on_a_terminal_is_a_bar_with_the_remaining_time() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with progress.showing("compare [x]", stream=stream) as display:
        display.tell(0.5, "cell [seed=1]", seconds_left=61.2)
        display.bar[0].refresh()
        display.print("a line [of its own]")
    shown = stream.getvalue()
    assert "1:02 left" in shown and "50%" in shown
    assert "compare [x]" in shown and "cell [seed=1]" in shown and "a line [of its own]" in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (0.1, "0:01"), (59.2, "1:00"), (61, "1:01"), (3600, "1:00:00"), (-3, "0:00")]
)
def test_clock_time(seconds: float, text: str) -> None:
    assert progress.clock_time(seconds) == text
