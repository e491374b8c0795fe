"""The three questions are answered by their tests' verdicts, and by nothing where the controls forbid it."""

from __future__ import annotations

import dataclasses

import numpy as np

from analysis.admission import admit_metric
from analysis.studies.answer_sentences import positions
from analysis.studies.answers import answers
from analysis.studies.comparison_scores import Scores, ScoresOfTest
from analysis.studies.estimates_page import sections
from analysis.studies.line_test import Lines, LineTest
from analysis.studies.tests import TESTS
from analysis.verdicts import decide

SEEDS = range(20)


def around(mean: float, *, seed: int = 0, sd: float = 0.01) -> dict[int, float]:
    return dict(zip(SEEDS, np.random.default_rng(seed).normal(mean, sd, len(SEEDS)).tolist(), strict=True))


def scored(test: LineTest, lines: Lines, *, zero: Lines, contrasts: Lines) -> ScoresOfTest:
    verdicts = [
        {v.contrast: v for v in decide(some, margin=margin, seeds=SEEDS)} if some else {}
        for some, margin in ((zero, test.against_zero or 1.0), (contrasts, test.prediction.margin))
    ]
    return ScoresOfTest(test, test.worlds[0], lines, verdicts[0], verdicts[1], None, None, {}, {})


def scores(**tests: ScoresOfTest) -> Scores:
    return Scores(tests, {}, {}, {}, {}, len(SEEDS))


LEAKING = {leak: around(1.0 - leak, seed=5) for leak in (0.0, 0.1, 0.25, 0.5, 1.0)}

CROSSED = scored(
    TESTS["CrossedHistory"],
    {},
    zero={"MONO": around(0.25), "MOE": around(0.0)},
    contrasts={"MOE - MONO": around(-0.25)},
)


def test_each_word_is_said_with_its_lines() -> None:
    (answer,) = answers(scores(CrossedHistory=CROSSED))
    sentences = answer.sentences
    assert answer.asked.name == "Q1" and answer.short.startswith("No answer")
    level = "intervals at Holm's level"
    assert any(f"distinguishable (margin 0.03, {level}): MONO +0.2" in s and "MOE" not in s for s in sentences)
    assert any("equivalent (margin 0.03, 90 % intervals): MOE" in s for s in sentences)
    assert any(f"distinguishable, below 0 (margin 0.05, {level}): MOE - MONO -0.2" in s for s in sentences)


def test_an_equivalence_shows_the_interval_that_it_rests_on_and_an_open_verdict_what_would_decide_it() -> None:
    zero = {"MONO": around(0.0, sd=0.05), "MOE": around(0.035, sd=0.05)}
    (answer,) = answers(scores(CrossedHistory=scored(TESTS["CrossedHistory"], {}, zero=zero, contrasts={})))
    verdicts = {v.contrast: v for v in decide(zero, margin=0.03, seeds=SEEDS)}
    assert verdicts["MONO"].word == "equivalent" and verdicts["MOE"].word == "inconclusive"
    same, open_ = (next(s for s in answer.sentences if word in s) for word in ("equivalent", "inconclusive"))
    assert verdicts["MONO"].equivalence_interval.text(sign="+") in same
    assert f"(some {verdicts['MOE'].seeds_to_decide} seeds would decide)" in open_


def test_controls_and_estimates_stand_beside_the_verdicts() -> None:
    lines = {"MONO": around(0.0), "POS": around(0.5, seed=1), "NEG-F": around(0.1, seed=2), "SHARD-LAW": around(3.0)}
    test = scored(TESTS["T0"], lines, zero={"MONO": around(0.0)}, contrasts={})
    gains = {"MONO": around(0.02, seed=3), "ROUTE": around(0.14, seed=4)}
    (answer,) = answers(scores(T0=dataclasses.replace(test, extra={"choices gain": gains})))
    (controls,) = (s for s in answer.sentences if "controls" in s)
    assert all(f"{line} +" in controls for line in ("POS", "NEG-F", "SHARD-LAW")) and "MONO" not in controls
    (choices,) = (s for s in answer.sentences if "choices of V₁" in s)
    assert choices.index("ROUTE +0.1") < choices.index("MONO +0.0")


def test_a_failed_control_silences_the_test() -> None:
    silent = dataclasses.replace(CROSSED, controls="the plants did not come out")
    (answer,) = answers(scores(CrossedHistory=silent))
    assert list(answer.sentences) == ["CrossedHistory is silent, because the plants did not come out."]


def test_few_seeds_give_no_answer() -> None:
    few = dataclasses.replace(scores(CrossedHistory=CROSSED), num_seeds=3)
    (answer,) = answers(few)
    assert list(answer.sentences) == ["CrossedHistory gives no verdict on 3 seeds; the rule asks for 20."]


def test_the_position_of_mono_is_that_between_the_controls() -> None:
    lines = {"MONO": around(0.25, seed=1), "NEG-F": around(0.0, seed=2), "POS": around(1.0, seed=3)}
    test = scored(TESTS["T3"], lines, zero={}, contrasts={})
    credit = scored(TESTS["T5"], lines, zero={}, contrasts={"MOE - MONO": around(0.0), "ROUTE - MOE": around(0.3)})
    (answer,) = answers(scores(T3=test, T5=credit))
    assert answer.asked.name == "Q2" and not any("lies at" in sentence for sentence in answer.sentences)
    assert "evidence: ROUTE - MOE (+0.30)." in answer.short and "For ROUTE - MOE" not in answer.short
    assert "For MOE - MONO (+0.00): parts, and routing" in answer.short
    admission = admit_metric(
        lines["POS"], negative=lines["NEG-F"], untrained=around(0.0, seed=4),
        by_dose=LEAKING,
    )  # fmt: skip
    assert admission.admitted
    (answer,) = answers(scores(T3=dataclasses.replace(test, admission=admission), T5=credit))
    sentence = answer.sentences[-1]
    assert "On T3's metric MONO lies at 25" in sentence or "On T3's metric MONO lies at 24" in sentence


def test_what_holds_by_construction_is_no_evidence() -> None:
    zero = {"MONO": around(0.0), "ROUTE": around(0.3), "HRA (shared E)": around(0.3)}
    (answer,) = answers(scores(T0=scored(TESTS["T0"], {}, zero=zero, contrasts={})))
    assert answer.short.startswith("For MONO (+0.00): the shard law predicts nothing")
    assert "For ROUTE" not in answer.short
    built = "Distinguishable partly by construction, and so no evidence: ROUTE (+0.30); HRA (shared E) (+0.30)."
    assert answer.short.endswith(built)


def test_the_second_test_of_a_question_is_counted_in_its_answer() -> None:
    zero = {"MONO": around(0.25), "MOE": around(0.3), "ROUTE": around(0.5), "MONO (imitated E)": around(-0.2)}
    crossed = scored(TESTS["CrossedHistory"], {}, zero=zero, contrasts={})
    law = scored(TESTS["T0"], {}, zero={"MONO": around(0.0)}, contrasts={})
    (answer,) = answers(scores(T0=law, CrossedHistory=crossed))
    assert "distinguishable in 2, the first MONO (+0.25); distinguishable, below 0 in 1, the first MONO" in answer.short
    silent = dataclasses.replace(crossed, controls="the plants did not come out")
    (answer,) = answers(scores(T0=law, CrossedHistory=silent))
    assert not answer.short.endswith(" ") and "lines whose V fits" not in answer.short


def test_a_test_that_was_not_run_is_not_called_silent() -> None:
    (answer,) = answers(scores(CrossedHistory=CROSSED))
    assert "T0, which was named for it, was not run" in answer.short


def test_words_go_by_sign_and_say_whose_v_does_not_fit() -> None:
    zero = {"MONO": around(0.3), "MOE": around(-0.3), "MOE-BLOCK": around(0.4, sd=1e-6)}
    test = scored(TESTS["CrossedHistory"], {}, zero=zero, contrasts={})
    fits = {"CrossedHistory": {"MONO": around(0.9), "MOE": around(0.85), "MOE-BLOCK": around(0.2)}}
    above, below = answers(dataclasses.replace(scores(CrossedHistory=test), fits=fits))[0].sentences
    assert "distinguishable (margin" in above and "MOE-BLOCK +0.400 [+0.400, +0.400] (V does not fit)" in above
    assert "distinguishable, below 0 (margin" in below and "MOE -0.3" in below and "fit" not in below


def test_nothing_found_and_a_tie_is_a_description() -> None:
    zero = {"MONO": around(0.0), "MOE": around(0.0), "ROUTE": around(0.4)}
    found = {key: scored(TESTS[key], {}, zero=zero, contrasts={}) for key in ("T0", "CrossedHistory")}
    unsure = around(0.01, sd=1.0)
    for lines, said in (
        ({"MONO": around(0.0), "POS": around(0.3)}, True),
        ({"MONO": around(0.2)}, False),
        ({"MONO": unsure}, False),
        ({}, False),
    ):
        contest = scored(TESTS["T11"], {**lines, "BIDS": around(0.5)}, zero={}, contrasts={})
        answer = answers(scores(**found, T11=contest))[0]
        assert answer.short.endswith("(H-desc).") is said
    assert "H-desc" not in answers(scores(**found))[0].short


def test_both_sides_of_a_contrast_must_fit() -> None:
    contrasts = {"MONO-ROUTE - MONO": around(-0.3), "MOE - MONO": around(0.0)}
    test = scored(TESTS["T5"], {}, zero={}, contrasts=contrasts)
    fits = {"MultiNeed": {"MONO": around(0.9), "MONO-ROUTE": around(0.1), "MOE": around(0.9)}}
    (answer,) = answers(dataclasses.replace(scores(T5=test), fits=fits))
    assert answer.short.endswith("Not read, since V does not fit: MONO-ROUTE - MONO.")
    assert any("MONO-ROUTE - MONO -0.3" in s and "(V does not fit)" in s for s in answer.sentences)


def test_an_e_of_ds_is_compared_by_seed() -> None:
    lines = {"MONO": around(0.3), "MONO (shared E)": {seed: x - 0.1 for seed, x in around(0.3).items()}}
    test = scored(TESTS["CrossedHistory"], lines, zero={"MONO": around(0.3)}, contrasts={})
    said = answers(scores(CrossedHistory=test))[0].sentences[-1]
    assert "MONO - MONO (shared E) +0.100 [+0.100, +0.100]" in said and "no verdict" in said


def test_a_position_says_whether_functions_match() -> None:
    lines = {"MONO": around(0.25, seed=1), "NEG-F": around(0.0, seed=2), "POS": around(1.0, seed=3)}
    admission = admit_metric(
        lines["POS"], negative=lines["NEG-F"], untrained=around(0.0, seed=4),
        by_dose=LEAKING,
    )  # fmt: skip
    test = dataclasses.replace(scored(TESTS["T3"], lines, zero={}, contrasts={}), admission=admission)
    for share, word in ((0.85, "matched"), (0.5, "unmatched"), (1.1, "unmatched")):
        fits = {"MultiNeed": {"MONO": around(0.9), "NEG-F": around(share), "POS": around(0.9)}}
        (said,) = positions(dataclasses.replace(scores(T3=test), fits=fits))
        assert f", at {word} function (R² of V: NEG-F {share:.2f}, MONO 0.90, POS 0.90)." in said


def test_nothing_run_answers_nothing() -> None:
    assert answers(scores()) == []


def test_of_many_arms_the_first_are_named_and_the_others_counted_with_their_range() -> None:
    zero = {f"ARM{index}": around(0.2 + index / 100, sd=1e-6) for index in range(12)}
    (answer,) = answers(scores(CrossedHistory=scored(TESTS["CrossedHistory"], {}, zero=zero, contrasts={})))
    (sentence,) = answer.sentences
    assert "ARM7 +0.270" in sentence and "ARM8" not in sentence
    assert sentence.endswith("; and 4 more, means +0.280 to +0.310.")


def test_a_test_without_a_question_has_a_section_with_its_controls_and_its_figure() -> None:
    lines = {"MONO": around(0.25, sd=1e-6), "POS": around(1.0001, sd=1e-6), "NEG-F": {}}
    test = dataclasses.replace(scored(TESTS["T3"], lines, zero={}, contrasts={}), controls="a plant was not found")
    all_scores = dataclasses.replace(scores(T3=test), fits={"MultiNeed": {"MONO": around(0.9)}})
    opening, section, *fits = sections(all_scores.tests, all_scores, drawn={"T3.png"}, folder="page")
    assert "20 seeds" in opening
    assert section.startswith(f"### T3. {TESTS['T3'].prediction.question}")
    assert "| MONO | +0.2" in section and "| POS | +1.0" in section and "calibration" in section
    assert "**Not to be read**, because a plant was not found." in section
    assert section.endswith("![T3](page/T3.png)")
    assert "| MONO | 0.90 |" in fits[-1]
    assert "![" not in sections(all_scores.tests, all_scores, drawn=(), folder="page")[1]
    assert sections({}, all_scores, drawn=(), folder="page") == []
