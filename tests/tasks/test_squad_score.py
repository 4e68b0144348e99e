"""Scores of answers, against the definition's own words and a threshold found by trying all."""

import random

import pytest

from litebert.tasks.example import Answer, SpanExample
from litebert.tasks.squad_score import (
    apply_threshold,
    best_threshold,
    exact,
    f1,
    normalise,
    score,
)


def question(id, *answers):
    spans = tuple(Answer(text=text, start=0) for text in answers)
    return SpanExample(id=id, place=id, question="?", context="", answers=spans)


@pytest.mark.parametrize(
    ("prediction", "truth", "same", "overlap"),
    [
        ("The Normans", "normans", 1, 1),
        ("a  red, red hat!", "red hat", 0, 4 / 5),
        ("in 1066", "1066", 0, 2 / 3),
        ("U.S.", "us", 1, 1),
        ("co-operate", "cooperate", 1, 1),
        ("blue", "red", 0, 0),
        ("", "", 1, 1),
        ("", "red", 0, 0),
        ("the", "", 1, 1),
        ("red red", "red", 0, 2 / 3),
        ("an apple a day", "apple day", 1, 1),
        ("anthem", "them", 0, 0),
    ],
)
def test_by_hand(prediction, truth, same, overlap):
    assert exact(prediction, truth) == same
    assert f1(prediction, truth) == pytest.approx(overlap)


def test_articles_go_after_punctuation():
    """The scorer takes out punctuation first: "the-end" is one word then, no article."""
    assert normalise("The-end of (an) Era.") == "theend of era"


def test_best_over_annotators():
    examples = [question("a", "red", "red hat"), question("b", "blue"), question("c", "green")]
    found = score(examples, ["the red hat", "dark blue", ""], unanswerable=False)
    assert found.exact == pytest.approx(100 / 3)
    assert found.f1 == pytest.approx(100 * (1 + 2 / 3 + 0) / 3)
    assert found.answerable is None


def test_unanswerable_questions():
    examples = [question("a", "red"), question("b"), question("c")]
    found = score(examples, ["", "", "something"], unanswerable=True)
    assert (found.exact, found.answerable, found.unanswerable) == (pytest.approx(100 / 3), 0, 50)


def test_threshold_is_the_best_of_all():
    draw = random.Random(3)
    for _ in range(50):
        count = draw.randint(1, 12)
        examples = [
            question(str(n), *([draw.choice(["red", "blue hat"])] if draw.random() < 0.5 else []))
            for n in range(count)
        ]
        texts = [draw.choice(["red", "blue", "hat", ""]) for _ in range(count)]
        nulls = [float(draw.randint(-3, 3)) for _ in range(count)]
        found = best_threshold(examples, texts, nulls)
        tried = [
            score(examples, apply_threshold(texts, nulls, threshold), unanswerable=True).f1
            for threshold in (-4, *sorted(set(nulls)))
        ]
        reached = score(examples, apply_threshold(texts, nulls, found), unanswerable=True).f1
        assert reached == pytest.approx(max(tried))


def test_rules_of_the_two_scorers_differ():
    """1.1 knows no empty answer and keeps answers that are articles; 2.0 the other way round."""
    dot, article = question("a", "."), question("b", "A", "grade A")
    assert score([dot], [","], unanswerable=False).f1 == 0
    assert score([dot], [","], unanswerable=True).f1 == 100
    assert score([article], ["a"], unanswerable=False).exact == 100
    assert score([article], ["a"], unanswerable=True).exact == 0
