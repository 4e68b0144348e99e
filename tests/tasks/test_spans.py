"""Windows show every answer, and decoding finds what trying all spans finds."""

import numpy as np
import pytest
import torch

from litebert.model.task_heads import SpanScores
from litebert.tasks.example import Answer, SpanExample
from litebert.tasks.problems import Problems
from litebert.tasks.span_decoding import Candidate, best_spans
from litebert.tasks.spans import NOWHERE, Spans, Window
from litebert.tasks.squad import read_squad
from litebert.tasks.squad_score import normalise
from shared_data import SHARED


def test_tokens_give_every_answer_of_squad_back(albert):
    data = read_squad(SHARED / "squad/v1.1/dev-v1.1.json", Problems())
    problems = Problems()
    kind = Spans(unanswerable=False, max_length=128, stride=40)
    units = kind.units(data.examples, albert, problems)
    assert not problems.lines()
    found: dict[int, str] = {}
    for unit in units:
        window = unit.target
        assert unit.length <= 128
        if window.borders != NOWHERE:
            first, last = (place - window.context_at for place in window.borders)
            context = data.examples[unit.example].context
            begin, end = window.characters[first][0], window.characters[last][1]
            found[unit.example] = context[begin:end]
    assert len(found) == len(data)
    wrong = [
        (text, data.examples[number].answers[0].text)
        for number, text in found.items()
        if normalise(text) != normalise(data.examples[number].answers[0].text)
    ]
    # pieces that hold more than the answer: "1,000th", "26-yard"
    assert len(wrong) <= 0.01 * len(data), wrong


def test_answers_that_windows_cut_are_counted(albert):
    data = read_squad(SHARED / "squad/v1.1/dev-v1.1.json", Problems())
    problems = Problems()
    units = Spans(unanswerable=False, max_length=64).units(data.examples, albert, problems)
    shown = {unit.example for unit in units if unit.target.borders != NOWHERE}
    assert problems.lines()[0].startswith(
        f"{len(data) - len(shown)} rows with an answer that no window shows whole"
    )


def test_every_token_is_shown_best_by_one_window(albert):
    context = " ".join(f"number {n}" for n in range(200))
    example = SpanExample(id="a", place="a", question="which number?", context=context)
    units = Spans(unanswerable=True, max_length=64, stride=20).units([example], albert, Problems())
    assert len(units) > 10
    shown: dict[tuple[int, int], list] = {}
    for unit in units:
        window = unit.target
        count = len(window.characters)
        for place, characters in enumerate(window.characters):
            margin = min(place, count - 1 - place) + 0.01 * count
            shown.setdefault(characters, []).append((margin, window.best[place]))
    for seen in shown.values():
        assert sum(best for _, best in seen) == 1
        assert max(seen, key=lambda pair: pair[0])[1]


def test_answer_in_the_words_of_the_text(albert):
    """Offsets are those of the text as it stands: accents, capitals, odd spaces, no loss."""
    context = "Die  Königin Élisabeth — “the Great” — ruled\tfor 44 years."
    for text in ("Königin", "Élisabeth", "Great", "44 years"):
        answer = Answer(text=text, start=context.index(text))
        example = SpanExample(id="a", place="a", question="?", context=context, answers=(answer,))
        (unit,) = Spans(unanswerable=False, max_length=64).units([example], albert, Problems())
        first, last = (place - unit.target.context_at for place in unit.target.borders)
        characters = unit.target.characters
        assert context[characters[first][0] : characters[last][1]].strip("“”") == text


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@pytest.mark.parametrize("given_starts", [False, True])
def test_decoding_is_the_best_of_all_spans(given_starts):
    draw = np.random.default_rng(5)
    for _ in range(40):
        length, at = 18, 4
        count = length - at - 1
        characters = [(3 * n, 3 * n + 2) for n in range(count)]
        window = Window(at, characters, (draw.random(count) < 0.8).tolist())
        starts, ends = log_softmax(draw.normal(size=length)), log_softmax(draw.normal(size=length))
        chosen, table = None, np.tile(ends, (length, 1))
        if given_starts:
            chosen = np.argsort(-starts)[:5]
            table = log_softmax(draw.normal(size=(length, length)))
            ends = table[chosen]
        scores = {}
        for start in range(length) if chosen is None else chosen:
            allowed_ends = range(length)
            if given_starts:
                allowed_ends = np.argsort(-table[start])[:5]
            for end in allowed_ends:
                first, last = start - at, end - at
                if 0 <= first <= last < count and last - first < 6 and window.best[first]:
                    span = characters[first][0], characters[last][1]
                    scores[span] = starts[start] + table[start, end]
        found = best_spans(starts, ends, chosen, window, longest=6)
        expected = sorted(scores.items(), key=lambda item: -item[1])[:20]
        assert [(c.start, c.end) for c in found] == [span for span, _ in expected]
        np.testing.assert_allclose([c.score for c in found], [score for _, score in expected])


def test_models_together_average_the_spans_they_propose():
    a, b = Candidate(0, 3, -1.0), Candidate(4, 7, -2.0)
    kind = Spans(unanswerable=True, max_length=64)
    one, other = [([a, b], -5.0)], [([Candidate(4, 7, -0.5)], -1.0)]
    ((spans, null),) = kind.combine([one, other])
    assert spans == [Candidate(0, 3, -1.0), Candidate(4, 7, -1.25)]
    assert null == -3.0


def test_loss_is_the_mean_of_both_borders(albert):
    kind = Spans(unanswerable=False, max_length=64)
    context = "red green blue"
    answers = (Answer(text="green", start=4),)
    rows = [
        SpanExample(id="a", place="a", question="what?", context=context, answers=answers),
        SpanExample(id="b", place="b", question="what else?", context=context),
    ]
    units = kind.units(rows, albert, Problems())
    longest = max(unit.length for unit in units)
    starts = torch.randn(2, longest).log_softmax(-1)
    ends = torch.randn(2, longest).log_softmax(-1)
    begin, end = units[0].target.borders
    expected = -(starts[0, begin] + ends[0, end] + starts[1, 0] + ends[1, 0]) / 2
    torch.testing.assert_close(kind.loss(SpanScores(starts, ends), units), expected)
