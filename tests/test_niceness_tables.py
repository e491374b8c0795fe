"""Exact answers as tables, words, figures and commands; the pages in docs/ are what the solver says."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import pytest

from analysis.cli import main
from analysis.commands.folders import case_words
from analysis.niceness import phase, phase_page, tables, village_sweep
from analysis.niceness.policy_words import in_words, shortened
from analysis.niceness.solved import solve_all
from analysis.niceness.thresholds import simplest, threshold
from analysis.plots.phase import Line, Panel, phase_figure
from envs.errors import UserError
from envs.niceness.building import tabulate
from envs.niceness.case_registry import make_case
from envs.niceness.objectives import find_objective
from envs.niceness.village_range import InfluenceRange

ROOT = Path(__file__).parent.parent
CLICKBAIT = str(ROOT / "examples" / "cases" / "clickbait.toml")


def test_the_page_of_tables_is_what_the_solver_says() -> None:
    assert tables.page() == (ROOT / "docs" / "niceness_tables.md").read_text()


@pytest.mark.slow
def test_the_page_of_phases_is_what_the_solver_says() -> None:
    assert phase_page.page(phase_page.compute(), stem="niceness_phase") == (ROOT / "docs/niceness_phase.md").read_text()


def test_a_row_holds_what_was_checked_by_hand() -> None:
    (row,) = solve_all(make_case("TRIAD"), ["IR"])
    assert (row.value, row.worth, row.regret) == (11, {"RT": 11, "IR": 11, "NS": 5}, {"RT": 5, "IR": 0, "NS": 7})
    assert (row.mi, row.li, row.influences) == ((Fraction(2, 3),) * 2, (Fraction(2, 3),) * 2, "all")
    assert row.as_json()["mi"] == ["2/3", "2/3"]
    assert row.intent == {"changes": True, "instrumental": True} and row.influence_worth is None
    (row,) = solve_all(make_case("TRIAD"), ["IR"], powerless=make_case("TRIAD", kappa=0))
    shown = dict(zip(tables.HEADER, tables.cells(row), strict=True))
    assert (shown["intent"], shown["worth of influence"]) == ("changes, means", "2")
    answers: tuple[dict[str, bool], ...] = ({}, {"changes": False}, {"changes": True, "instrumental": False})
    assert [tables.intent_in_words(found) for found in answers] == ["–", "no", "changes"]
    assert solve_all(make_case("SIDE-EFFECT"), ["RT"])[0].mi == (Fraction(1, 6), 1)


@pytest.mark.parametrize(
    ("case", "objective", "words"),
    [
        ("TRIAD", "NS", "hA ×3, hB ×3"),
        ("TRIAD", "RT", "persuade, hE ×5"),
        ("SIDE-EFFECT", "RT", "hA|big, A: hA|big / E: hE ×4, A: big / E: hE"),
        (
            "THIRD-PARTY", "IR",
            "hA|guard, t=1 A: hA|guard / t=1 guarded A: hA, t=2 A: guard / t=2 guarded A: hA, hA ×3",
        ),
        ("Clickbait", "CRT", "news ×2"),
    ],
)  # fmt: skip
def test_policies_in_words(case: str, objective: str, words: str) -> None:
    made = make_case(case)
    assert in_words(find_objective(objective, made).plan(made)) == words


def test_thresholds_are_found_from_answers_alone() -> None:
    for power in (Fraction(1, 3), Fraction(7, 15), Fraction(0), Fraction(99, 100)):
        assert threshold(lambda k, power=power: k > power, low=Fraction(0), high=Fraction(1)) == power
    assert threshold(lambda k: False, low=Fraction(0), high=Fraction(1)) is None
    with pytest.raises(ValueError, match="holds at 0 already"):
        threshold(lambda k: True, low=Fraction(0), high=Fraction(1))
    assert simplest(Fraction(3, 10), Fraction(4, 10)) == Fraction(1, 3)
    assert simplest(Fraction(2), Fraction(5, 2)) == 2


def test_pieces_of_the_phase_diagram() -> None:
    assert phase.power_threshold("RT", "TRIAD", T=4) == Fraction(1, 3)
    assert phase.power_threshold("IR", "TRIAD-G") == Fraction(1, 6)
    assert phase.power_threshold("NS", "TRIAD") is None
    assert phase.depth_threshold("IR", 3) == Fraction(1, 2)
    assert phase.weak_equality(3, generic=False) == (1, True)
    assert phase.weak_equality(6, generic=False) == (Fraction(1, 3), False)
    assert phase.weak_equality(6, generic=True) == (Fraction(2, 5), True)
    assert phase.onset("RT", e=2, kappa="1/2", d=7) == phase.Onset(Fraction(7, 10), "influence")
    assert phase.onset("RT", e=1, kappa="1/2", d=7) == phase.Onset(Fraction(1), "help")
    low, at, above = phase.curve("TRIAD", "RT", [Fraction(1, 6), Fraction(1, 5), Fraction(201, 1000)]).mi
    assert (low, at) == ((0, 0), (0, Fraction(1, 5)))
    assert above[0] == above[1] > 0


def test_a_figure_of_answers() -> None:
    lines = [Line("RT", [0, 0.5, 1], [0, 0, 1], [0, 1, 1]), Line("NS", [0, 0.5, 1], [0, 0, 0], [0, 0, 0])]
    figure = phase_figure([Panel(lines, "MI", {"RT: 1/2": 0.5})] * 2, title="t", subtitle="s", x_label="κ")
    upper, lower = figure.axes
    assert [line.get_label() for line in upper.lines[:2]] == ["RT", "NS"]
    assert upper.get_xlabel() == "" and lower.get_xlabel() == "κ"
    with pytest.raises(UserError, match="nothing to draw"):
        phase_figure([], title="t", subtitle="s", x_label="κ")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["niceness", *words])
    return int(stop.value.code or 0)


def test_solve_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ("solve", "triad", "--kappa", "0", "1", "--objectives", "RT", "1/2 RT + 1/2 NS", "--option", "o=2")
    assert run(*words, "--out", str(out)) == 0
    printed = capsys.readouterr().out
    assert "LI: lock-in index" in printed and "RT: present pseudo-niceness" in printed and "a sum: what" in printed
    assert "kappa 1" in printed and "persuade, hE" in printed and "Indistinguishability" in printed
    weak, strong = json.loads((out / "solve.json").read_text())
    assert [weak["kappa"], strong["kappa"]] == ["0", "1"]
    assert [row["objective"] for row in strong["objectives"]] == ["RT", "1/2 RT + 1/2 NS"]
    assert strong["objectives"][0]["value"] == "22"
    assert "## TRIAD" in (out / "solve.md").read_text()


def test_the_id_of_a_world_stands_for_its_case(tmp_path: Path) -> None:
    asked = ("--kappa", "1/2", "--option", "T=4", "--objectives", "RT", "IR")
    for folder, name in (("id", "ValueLab/Triad-v0"), ("name", "TRIAD")):
        assert run("solve", name, *asked, "--out", str(tmp_path / folder)) == 0
    assert (tmp_path / "id/solve.json").read_bytes() == (tmp_path / "name/solve.json").read_bytes()
    assert run("solve", "ValueLab/Case-Zealot-v0", "--objectives", "RT", "--out", str(tmp_path)) == 0
    (answer,) = json.loads((tmp_path / "solve.json").read_text())
    assert answer["case"] == "ZEALOT" and answer["objectives"][0]["influence_worth"] == "0"


def test_solve_reads_files_and_says_what_they_lack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("solve", str(ROOT / "examples/cases/moody.toml"), "--out", str(tmp_path)) == 0
    assert json.loads((tmp_path / "solve.json").read_text())[0]["case"] == "Moody"
    (answer,) = json.loads((tmp_path / "solve.json").read_text())
    assert (answer["file"], len(answer["sha256"])) == (str(ROOT / "examples/cases/moody.toml"), 64)
    case = tmp_path / "rows.toml"
    case.write_text(
        'name = "rows"\nthetas = ["x", "y"]\nactions = ["a", "b"]\nnoop = "a"\nstart = { theta = "x" }\nhorizon = 2\n'
        '[[move]]\nto = [{ theta = "x", probability = 0.5 }, { theta = "y", probability = 0.5 }]\n'
        '[[reward]]\nevaluator = "y"\naction = "b"\nworth = 1\n'
    )
    capsys.readouterr()
    assert run("solve", str(case), "--out", str(tmp_path / "rows")) == 0
    assert "there is no inert twin" in capsys.readouterr().out
    names = {row["objective"] for row in json.loads((tmp_path / "rows" / "solve.json").read_text())[0]["objectives"]}
    assert "RT" in names and not names & {"NS", "PSO"}


def test_every_question_has_a_folder_of_its_own_and_the_same_one_again(folder: Path) -> None:
    for words in ((), ("--kappa", "1/5", "1"), ("--kappa", "0.5"), ("--objectives", "IR")):
        for _ in range(2):
            assert run("solve", "TRIAD", "--option", "T=2", *words) == 0
    names = {path.name.removeprefix("niceness-TRIAD") for path in (folder / "runs").iterdir()}
    assert names == {"-T-2", "-T-2-kappa-1-5_1", "-T-2-kappa-0.5", "-T-2-objectives-IR"}


def test_a_long_policy_is_cut_between_steps() -> None:
    assert shortened("hA ×3, hB ×3") == "hA ×3, hB ×3"
    assert shortened("a, bb, ccc, dddd", longest=12) == "a, bb, …"
    assert shortened("aaaaaaaaaaaaaaaaa, b", longest=5) == "aaaaaaaaaaaaaaaaa, …"
    (row,) = solve_all(make_case("TRIAD", kappa="1/5"), ["RT"])
    long = dataclasses.replace(row, policy=", ".join([row.policy] * 10))
    assert len(long.policy) > 300 and len(tables.cells(long)[-1]) <= 100


def test_a_long_fraction_is_shown_as_a_decimal() -> None:
    shown = (None, Fraction(2, 3), Fraction(102749, 279936), Fraction(123456789, 10**9), Fraction(10**20))
    assert [tables.number(one) for one in shown] == ["–", "2/3", "102749/279936", "≈ 0.123457", "≈ 1e+20"]
    assert tables.between((Fraction(1, 3), Fraction(1, 2**60))) == "1/3 to ≈ 8.67362e-19"
    (row,) = solve_all(make_case("TRIAD", kappa="0.30102999566398"), ["RT"])
    assert max(map(len, tables.cells(row)[1:-1])) < 40 < len(row.as_json()["value"])


def test_what_is_asked_for_twice_is_answered_once(tmp_path: Path) -> None:
    words = ("--objectives", "RT", "IR", "RT", "--kappa", "0", "0", "--option", "T=2", "--out", str(tmp_path))
    assert run("solve", "TRIAD", *words) == 0
    (found,) = json.loads((tmp_path / "solve.json").read_text())
    assert found["options"] == {"T": 2} and "; kappa 0; T 2" in (tmp_path / "solve.md").read_text()
    assert [row["objective"] for row in found["objectives"]] == ["RT", "IR"]


def test_states_that_nobody_reaches_are_named() -> None:
    step, reward = (lambda turn, noise: (turn.state, turn.theta)), (lambda evaluator, turn, after: 0)
    options = {"thetas": ["x"], "actions": ["a"], "noop": "a", "start": ("s", "x"), "step": step, "reward": reward}
    assert "1 of 2 states reachable (never u)" in tables.title(tabulate("c", states=["s", "u"], horizon=1, **options))
    assert tables.title(tabulate("c", horizon=1, **options)).startswith("c: 1 state, ")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("solve",), "niceness solve needs CASE"),
        (("sovle", "TRIAD"), "niceness has no command 'sovle'; it has solve, train, "),
        (("solve", "TRAID"), "case 'TRAID' is unknown"),
        (("solve", "TRAID"), "Did you mean 'TRIAD'?"),
        (("solve", "Vilage"), "Village-9x9-v0, and files that end in .toml; name one. Did you mean 'Village'?"),
        (("solve", "TRIAD", "--objectives", "RT - IR"), "objective is 'RT - IR', but weights may not be negative"),
        (("solve", "TRIAD", "--objectives", "-0.5 RT"), "weights may not be negative"),
        (("solve", "TRIAD", "--objectives", "0 RT + 0 IR"), "objective is '0 RT + 0 IR', whose weights are all 0"),
        (("solve", "TRIAD", "--kappa", "1.5"), "kappa is '1.5', allowed is a probability from 0 to 1"),
        (("solve", "Clickbait", "--kappa", "1"), "case Clickbait has no option 'kappa', it has H"),
        (("solve", "TRIAD", "--kappa", "1", "--option", "kappa=1"), "kappa is given by --kappa and by --option"),
        (("solve", "TRIAD", "--objectives", "RTT"), "objective 'RTT' is unknown"),
        (("solve", "TRIAD", "--option", "T=0"), "T is 0"),
        (("solve", "absent.toml"), "case file 'absent.toml' cannot be read"),
        (("solve", CLICKBAIT, "--kappa", "1"), "no option 'kappa', it has none; write kappa = 1"),
    ],
)
def test_wrong_words_are_one_line(
    words: tuple[str, ...], cause: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert cause in error and error.count("\n") == 1
    assert not list(folder.iterdir())


def test_a_file_s_power_is_turned_by_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(CLICKBAIT).read_text().replace("horizon = 2", 'horizon = 2\nkappa = "1/3"')
    turned = 'action = "clickbait"\nwhen = { kappa = 1 }\nto'
    Path("own.toml").write_text(text.replace('action = "clickbait"\nto', turned))
    assert run("solve", "own.toml", "--kappa", "0", "1", "--objectives", "RT") == 0
    assert "kappa 0" in capsys.readouterr().out
    weak, strong = json.loads((folder / "runs/niceness-own-kappa-0_1-objectives-RT/solve.json").read_text())
    # Clickbait pays the normal 2 twice while nothing turns, and turned they pay 1/2 for news in the second step.
    assert [answer["objectives"][0]["value"] for answer in (weak, strong)] == ["4", "3"]
    assert strong["objectives"][0]["influence_worth"] == "-1"


def test_pages_are_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tables", "--out", str(folder)) == 2
    assert "is a folder, but one file is written; name a file" in capsys.readouterr().err


def test_a_long_solve_says_how_far_it_is() -> None:
    told: list[tuple[float, str]] = []
    solve_all(make_case("Clickbait"), ("RT", "IR"), tell=lambda share, text: told.append((share, text)))
    assert told == [(0, "RT"), (0.5, "IR")]


@pytest.mark.parametrize(
    ("case", "words"), [("TRIAD", "TRIAD"), ("own.toml", "own"), ("a/own.toml", "a/own"), ("../own.toml", "../own")]
)
def test_files_of_one_name_have_folders_of_their_own(case: str, words: str) -> None:
    assert case_words(case) == words


def nothing_found() -> phase_page.Found:
    """Answers of a world in which nobody ever influences."""
    still = ((Fraction(0), Fraction(0)),) * len(phase.POWERS)
    return phase_page.Found(
        curves={(w, n): phase.Curve(w, n, still, still) for w in phase_page.WORLDS for n in phase.CURVES},
        axes=[[None] * len(values) for _, _, _, values, _ in phase_page.AXES],
        depths={"RT": [None] * len(phase_page.DEPTHS)},
        equality=[[(Fraction(1), True)] * len(phase_page.LENGTHS)] * 2,
        onsets=[[phase.Onset(None, "neither")] * len(values) for _, _, values, _ in phase_page.ONSETS],
        targets=[phase.Target("RT, IR, NS", ("RT", "IR", "NS"), {}, (Fraction(1),) * len(phase.TARGET_POWERS))],
        village={
            axis.name: [dict.fromkeys(("RT", "IR", "NS"), NOBODY_MOVED) for _ in axis.values]
            for axis in village_sweep.AXES
        },
    )


NOBODY_MOVED = InfluenceRange(*[(0.0, 0.0)] * 6, certain=True)


def test_tables_and_phase_write_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "page", lambda: "tables\n")
    assert run("tables", "--out", str(tmp_path / "t.md")) == 0
    assert (tmp_path / "t.md").read_text() == "tables\n"
    monkeypatch.setattr(phase_page, "compute", nothing_found)
    assert run("phase", "--out", str(tmp_path / "p.md")) == 0
    text = (tmp_path / "p.md").read_text()
    figures = {f"p_{name}.png" for name in ("power", "target", "village")}
    assert {path.name for path in tmp_path.iterdir()} == {"t.md", "p.md", *figures}
    assert "p_power.png" in text and "| RT, IR, NS | 1.000 |" in text and "T = 2: –" in text


def test_rows_of_every_objective_have_the_same_columns() -> None:
    assert {len(tables.cells(row)) for row in solve_all(make_case("Clickbait"))} == {len(tables.HEADER)}


CROWDED = """
name = "Crowded"
states = ["home", "gym"]
thetas = ["rest", "fit", "vain"]
actions = ["wait", "coach", "flatter", "tv", "freeze"]
noop = "wait"
start = { state = "home", theta = "rest" }
horizon = 5
channels = { luck = ["2/3", "1/3"], mood = ["1/2", "1/2"] }
move = [
    { theta = "rest", when = { luck = 1 }, to = { theta = "fit" } },
    { action = "flatter", when = { mood = 1 }, to = { theta = "vain" } },
    { action = "freeze", to = { state = "gym" } },
]
reward = [
    { evaluator = "rest", action = "tv", worth = 1 }, { evaluator = "fit", action = "coach", worth = 1 },
    { evaluator = "vain", action = "flatter", worth = 3 },
]
"""


def test_what_cannot_be_solved_leaves_the_others_standing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("envs.niceness.frontier.MAX_CHOICES", 1000)
    case = tmp_path / "crowded.toml"
    case.write_text(CROWDED)
    assert run("solve", str(case), "--out", str(tmp_path)) == 0
    (answer,) = json.loads((tmp_path / "solve.json").read_text())
    assert set(answer["left_out"]) == {"ParetoUD"} and "allowed are 1000" in answer["left_out"]["ParetoUD"]
    assert "best for the sum over θ is worth to rest " in answer["left_out"]["ParetoUD"]
    assert {"RT", "IR", "NS", "PSO"} <= {row["objective"] for row in answer["objectives"]}
    assert "ParetoUD is left out: what policies can achieve in Crowded" in capsys.readouterr().out
    assert run("solve", str(case), "--objectives", "RT", "ParetoUD", "--out", str(tmp_path)) == 2
