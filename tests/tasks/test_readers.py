"""Every reader takes the real files whole and names every row it cannot use."""

import json

import pytest

from litebert.errors import InputError
from litebert.tasks.columns import Columns
from litebert.tasks.conll import read_conll
from litebert.tasks.glue import GLUE, has_columns_of, read_glue, submission
from litebert.tasks.problems import Problems
from litebert.tasks.race import level_of, read_race
from litebert.tasks.registry import task_of
from litebert.tasks.squad import read_squad
from litebert.tasks.table_files import read_rows
from shared_data import SHARED, needs_data

# rows by the table of the data's README
GLUE_ROWS = {
    ("cola", "train"): 7235,
    ("cola", "dev"): 1296,
    ("sst-2", "dev"): 1500,
    ("mrpc", "train"): 3302,
    ("sts-b", "train"): 5153,
    ("sts-b", "dev"): 572,
    ("qqp", "dev"): 1780,
    ("mnli", "dev_matched"): 1000,
    ("qnli", "dev"): 427,
    ("rte", "dev"): 363,
    ("wnli", "train"): 518,
}


@needs_data
@pytest.mark.parametrize(("name", "split"), GLUE_ROWS)
def test_glue_files_whole(name, split):
    problems = Problems()
    path = SHARED / "glue" / GLUE[name].folder / f"{split}.tsv"
    data = read_glue(path, GLUE[name], problems, labelled=True)
    assert len(data) == GLUE_ROWS[name, split]
    assert not problems.lines()
    assert all(example.first.strip() for example in data.examples)


@needs_data
def test_glue_columns_are_the_right_ones():
    data = read_glue(SHARED / "glue/MRPC/train.tsv", GLUE["mrpc"], Problems(), labelled=True)
    assert data.examples[0].first.startswith('Amrozi accused his brother, whom he called "the wit')
    assert data.examples[0].second.startswith('Referring to him as only "the witness"')
    assert data.examples[0].label == 1
    entailed = read_glue(SHARED / "glue/RTE/train.tsv", GLUE["rte"], Problems(), labelled=True)
    assert (entailed.examples[0].label, entailed.labels[1]) == (1, "not_entailment")
    scores = read_glue(SHARED / "glue/STS-B/dev.tsv", GLUE["sts-b"], Problems(), labelled=True)
    assert 0 <= min(e.label for e in scores.examples) <= max(e.label for e in scores.examples) <= 5


def test_a_bad_row_is_left_out_but_of_a_submission(tmp_path):
    path = tmp_path / "test.tsv"
    path.write_bytes(b"index\tsentence\n0\tgood\n1\tb\xe9d\n2\tfair\n")
    problems = Problems()
    data = read_glue(path, GLUE["sst-2"], problems, labelled=False)
    assert [example.id for example in data.examples] == ["0", "2"]
    assert "test.tsv:3" in problems.lines()[0]
    with pytest.raises(InputError, match="a submission needs every row"):
        read_glue(path, GLUE["sst-2"], Problems(), labelled=False, complete=True)


def test_a_users_own_tsv_is_told_from_the_tasks_by_its_columns(tmp_path):
    for number, (header, official) in enumerate(
        [("index\tsentence", True), ("text", False), ("text\tlabel", False)]
    ):
        path = tmp_path / f"{number}.tsv"
        path.write_text(f"{header}\n")
        assert has_columns_of(path, GLUE["sst-2"]) == official


def test_submission_of_a_test_file(tmp_path):
    path = tmp_path / "test_matched.tsv"
    path.write_text("index\tsentence1\tsentence2\n0\ta\tb\n1\tc\td\n")
    data = read_glue(path, GLUE["mnli"], Problems(), labelled=False)
    assert [example.label for example in data.examples] == [None, None]
    assert submission(path, GLUE["mnli"], [2, 0]) == (
        "MNLI-m.tsv",
        "index\tprediction\n0\tneutral\n1\tcontradiction\n",
    )
    assert submission(tmp_path / "test.tsv", GLUE["sts-b"], [5.3, 1.25])[1].split() == (
        "index prediction 0 5.000 1 1.250".split()
    )


@needs_data
@pytest.mark.parametrize(
    ("file", "questions", "unanswerable"),
    [("v1.1/dev-v1.1", 501, 0), ("v2.0/dev-v2.0", 1200, 699), ("xquad/xquad.en", 558, 0)],
)
def test_squad_files_whole(file, questions, unanswerable):
    problems = Problems()
    data = read_squad(SHARED / f"squad/{file}.json", problems)
    assert len(data) == questions
    assert sum(not example.answers for example in data.examples) == unanswerable
    assert not problems.lines()


def test_answers_outside_the_context_are_named(tmp_path):
    path = tmp_path / "squad.json"
    answers = [{"text": "red", "answer_start": 4}, {"text": "red", "answer_start": 5}]
    questions = [
        {"id": "a", "question": "?", "answers": answers},
        {"id": "b", "question": "?", "answers": answers[1:]},
        {"id": "c", "question": "?", "answers": [], "is_impossible": True},
    ]
    paragraph = {"context": "the red hat", "qas": questions}
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}))
    problems = Problems()
    data = read_squad(path, problems)
    places = [[answer.start for answer in e.answers] for e in data.examples]
    assert places == [[4, None], [None], []]  # all count for scoring
    assert problems.lines()[0].startswith("2 rows with an answer that is not in the context")
    assert f"{path}:a: 'red'" in problems.lines()[0]
    learned = read_squad(path, Problems(), learning=True)
    assert [e.id for e in learned.examples] == ["a", "c"]
    first = read_squad(path, Problems(), unanswerable=False)
    assert [e.id for e in first.examples] == ["a", "b"]
    with pytest.raises(InputError, match="--strict stops here"):
        read_squad(path, Problems(strict=True))


@needs_data
def test_race_both_layouts(tmp_path):
    lines = (SHARED / "race/RACE/dev/high/all.txt").read_text().splitlines()
    joined = read_race(SHARED / "race/RACE/dev", Problems())
    assert len(joined) == 100
    assert {level_of(example) for example in joined.examples} == {"high"}
    folder = tmp_path / "dev/high"
    folder.mkdir(parents=True)
    for number, line in enumerate(lines):
        (folder / f"{number:05}.txt").write_text(line)
    apart = read_race(tmp_path / "dev", Problems())
    strip = [(e.passage, e.question, e.options, e.label) for e in joined.examples]
    assert [(e.passage, e.question, e.options, e.label) for e in apart.examples] == strip
    high, middle = (task_of(f"race-{level}").read_file for level in ("high", "middle"))
    file = folder / "00000.txt"
    assert len(high(file, Problems(), Columns(), (), True)) > 1
    with pytest.raises(InputError, match="no questions of the level middle"):
        middle(file, Problems(), Columns(), (), True)
    three = middle(SHARED / "race/DREAM/dev.jsonl", Problems(), Columns(), (), True)
    assert (len(three), {len(e.options) for e in three.examples}) == (2040, {3})
    assert {e.label for e in three.examples} == {0, 1, 2}


@needs_data
def test_conll_whole():
    problems = Problems()
    train = read_conll(SHARED / "ner/wnut17/train.conll", problems)
    dev = read_conll(SHARED / "ner/wnut17/dev.conll", problems, labels=train.labels)
    assert [len(train), len(dev)] == [3394, 1009]
    assert sum(len(e.words) for e in train.examples) == 62730
    assert sum(len(e.words) for e in dev.examples) == 15733
    assert train.labels[0] == "O"
    assert len(train.labels) == 13
    assert not problems.lines()


def rows_of(path, problems):
    return list(read_rows(path, problems))


def test_bad_rows_of_a_table_are_counted_and_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'text,label\ngood,1\n"with, comma and ""quotes""",0\nonly one\n"broken" quotes,1\n'
        b"not \xff utf-8,1\nlast,0\n"
    )
    problems = Problems()
    assert [values["text"] for _, values in rows_of(path, problems)] == [
        "good",
        'with, comma and "quotes"',
        "last",
    ]
    first = " ".join(problems.first.values())
    assert all(f"{path}:{line}" in first for line in (4, 5, 6))
    assert sum(problems.counts.values()) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b'text,label\n"never closed,1\nmore,0\n', ":2: a quote opens here and never"),
        ("a.csv", b"text,text\na,b\n", "'text' is there twice"),
        ("a.parquet", b"no parquet", "no Parquet file"),
        ("a.docx", b"x", "convert it, or rename it"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        rows_of(tmp_path / name, Problems())


def test_json_lines_and_parquet(tmp_path):
    lines = tmp_path / "a.jsonl"
    lines.write_bytes(
        b'{"text": "a", "label": 1}\n{broken\n[1]\n\n{"text": "\xff"}\n{"text": "b"}\n'
    )
    problems = Problems()
    assert [values["text"] for _, values in rows_of(lines, problems)] == ["a", "b"]
    assert sum(problems.counts.values()) == 3
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")

    table = pyarrow.table({"text": ["a", "b"], "label": [1, 0]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert rows_of(tmp_path / "a.parquet", Problems())[1][1] == {"text": "b", "label": 0}


def test_sentences_are_not_taken_for_columns(tmp_path):
    (tmp_path / "text.txt").write_text("The quick brown fox\njumped over London\n")
    with pytest.raises(InputError, match="3 columns where the first line has 4"):
        read_conll(tmp_path / "text.txt", Problems(), labels=["O", "B"], labelled=False)
    (tmp_path / "words.txt").write_text("The\nfox\n\nLondon\n")
    found = read_conll(tmp_path / "words.txt", Problems(), labels=["O", "B"], labelled=False)
    assert [example.words for example in found.examples] == [("The", "fox"), ("London",)]


def test_conll_with_one_tag_is_refused(tmp_path):
    (tmp_path / "plain.conll").write_text("one\tO\ntwo\tO\n\nthree\tO\n")
    with pytest.raises(InputError, match="every word is tagged 'O'"):
        read_conll(tmp_path / "plain.conll", Problems())
