"""What a model is given: pairs cut as Google cuts them, words with their tags, options as one."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from litebert.tasks.choices import Choices, question_with
from litebert.tasks.conll import read_conll
from litebert.tasks.example import ChoiceExample, TaggedExample, TextExample
from litebert.tasks.problems import Problems
from litebert.tasks.tags import NOT_ASKED, Tags
from litebert.tasks.texts import Texts, cut_pair
from litebert.tasks.units import collate
from shared_data import SHARED


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(first=st.integers(0, 40), second=st.integers(0, 40), room=st.integers(0, 50))
def test_pairs_are_cut_one_token_at_a_time(first, second, room):
    a, b = list(range(first)), list(range(second))
    while len(a) + len(b) > room:
        (a if len(a) > len(b) else b).pop()
    assert cut_pair(list(range(first)), list(range(second)), room) == (a, b) or (
        first + second <= room
    )


def test_texts_and_pairs(albert):
    rows = [
        TextExample(id="a", place="f:1", first="one text", label=1),
        TextExample(id="b", place="f:2", first="one " * 40, second="two " * 3, label=0),
    ]
    problems = Problems()
    kind = Texts("classification", ["no", "yes"], ["accuracy"], 32)
    units = kind.units(rows, albert, problems)
    assert units[0].sequences[0].tokens == [2, *albert.encode("one text"), 3]
    long = units[1].sequences[0]
    assert len(long.tokens) == 32
    assert long.tokens[-4:] == [*albert.encode("two two two"), 3]
    assert "cut to 32 tokens (first: f:2)" in problems.lines()[0]
    batch = collate(units)
    assert batch.lengths == (len(units[0].sequences[0].tokens), 32)
    assert batch.segments.tolist() == [0] * (batch.lengths[0] + 28) + [1] * 4
    assert batch.positions.tolist() == [*range(batch.lengths[0]), *range(32)]


def test_losses_are_sums_over_rows():
    scores = torch.randn(3, 4)
    units = [type("U", (), {"target": t}) for t in (1, 0, 3)]
    kind = Texts("classification", "abcd", ["accuracy"], 32)
    expected = -sum(scores.log_softmax(-1)[n, t] for n, t in enumerate((1, 0, 3)))
    torch.testing.assert_close(kind.loss(scores, units), expected)
    several = [type("U", (), {"target": t}) for t in ((0, 2), (), (3,))]
    wanted = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1.0]])
    by_hand = -(wanted * scores.sigmoid().log() + (1 - wanted) * (-scores).sigmoid().log())
    kind = Texts("multilabel", "abcd", ["micro_f1"], 32)
    torch.testing.assert_close(kind.loss(scores, several), by_hand.mean(1).sum())
    assert kind.predictions(torch.tensor([[0.9, 0.1, 0.6, 0.5]]).tolist(), several) == [(0, 2)]


def test_options_of_different_number_have_a_softmax_each(albert):
    rows = [
        ChoiceExample(id="a", place="f:1", passage="a cat sat", question="a _ sat",
                      options=("cat", "dog", "cow"), label=2),
        ChoiceExample(id="b", place="f:2", passage="it rains " * 60, question="what?",
                      options=("rain", "snow"), label=0),
    ]  # fmt: skip
    problems = Problems()
    kind = Choices(64)
    units = kind.units(rows, albert, problems)
    assert [len(unit.sequences) for unit in units] == [3, 2]
    assert all(len(s.tokens) <= 64 for unit in units for s in unit.sequences)
    assert units[1].sequences[1].tokens[-3:] == [*albert.encode("what? snow")[-2:], 3]
    assert "cut to 64" in problems.lines()[0]
    assert question_with("a _ sat", "cat") == "a cat sat"
    assert question_with("what?", "rain") == "what? rain"
    scores = torch.randn(5, 1)
    expected = -(scores[:3, 0].log_softmax(0)[2] + scores[3:, 0].log_softmax(0)[0])
    torch.testing.assert_close(kind.loss(scores, units), expected)
    answers = kind.answers(scores, units)
    assert [len(row) for row in answers] == [3, 2]
    assert kind.predictions(answers, units) == [
        int(scores[:3, 0].argmax()),
        int(scores[3:, 0].argmax()),
    ]


def test_every_word_of_wnut_is_asked_once(albert):
    data = read_conll(SHARED / "ner/wnut17/dev.conll", Problems())
    kind = Tags(data.labels, ["span_f1"], 128)
    units = kind.units(data.examples, albert, Problems())
    asked = [(unit.example, word) for unit in units for word in unit.target[0] if word >= 0]
    assert len(asked) == len(set(asked))
    words = sum(len(example.words) for example in data.examples)
    # a word of nothing but characters that the vocabulary drops has no pieces
    assert words - 20 <= len(asked) <= words
    # with the right tags as answers, the score is full but for those words
    answers = [[(w, t, 1.0) for w, t in zip(*unit.target, strict=True) if w >= 0] for unit in units]
    predictions = kind.predictions(answers, units)
    assert kind.score(predictions, data.examples)["span_f1"] > 99.5


def test_long_sentences_are_tagged_in_parts(albert):
    words = tuple(f"word{n}" for n in range(100))
    example = TaggedExample(id="a", place="f:1", words=words, labels=tuple([0, 1] * 50))
    problems = Problems()
    units = Tags("OB", ["span_f1"], 32).units([example], albert, problems)
    assert len(units) > 5
    assert all(unit.length <= 32 for unit in units)
    asked = [(w, t) for unit in units for w, t in zip(*unit.target, strict=True) if w != NOT_ASKED]
    assert asked == [(n, n % 2) for n in range(100)]
    assert "tagged in parts" in problems.lines()[0]
