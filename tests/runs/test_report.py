"""The report of a run: its numbers are the events', and nothing in it can run or load."""

import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from litebert import PRESETS, InputError
from litebert.runs.curves import curve_image
from litebert.runs.plan_diagram import plan_svg
from litebert.runs.report import write_report
from litebert.train.events import EventLog
from litebert.train.recipe import PretrainRecipe

LOSSES = (6.8125, 5.4375, 4.9062)


def write_run(directory: Path, *, evaluations: int = 3, end: bool | None = True, **fields) -> Path:
    """A run directory as a run of 30 steps leaves it, or as a kill leaves it with end=None."""
    directory.mkdir()
    recipe = PretrainRecipe(data=Path("train"), valid=Path("valid"), steps=30, **fields)
    (directory / "recipe.yaml").write_text(recipe.to_yaml())
    log = EventLog(directory)
    config = asdict(replace(PRESETS["albert-mini"], vocab_size=8000))
    log.write("start", step=0, model=recipe.model, device="cpu", threads=2, config=config)
    for step in range(1, 10 * evaluations + 1):
        moment = {"step": step, "tokens": step * 4096, "seconds": step * 2.0}
        values = {"mlm_loss": 9 - step / 10, "mlm_accuracy": step / 100}
        values |= {"gradient_norm": 1.0, "tokens_per_second": 2048.0, "sentence_accuracy": 0.5}
        log.write("step", **moment, share=step / 30, rate_factor=1 - step / 40, **values)
        if step % 10 == 0:
            log.write(
                "evaluation",
                **moment,
                last=step == 30,
                mlm_loss=LOSSES[step // 10 - 1],
                mlm_accuracy=0.1362,
                unigram_loss=6.0123,
                sentence_accuracy=0.4987,
                sentence_interval=[0.471, 0.526],
                predictions=61440,
                sentences=1234,
            )
    if end is not None:
        log.write("end", step=30, finished=end)
    log.close()
    return directory


class Visible(HTMLParser):
    """The text of a page and its elements, read by the standard library's parser."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        if self.tags[-1:] != ["style"]:
            self.words.append(data)


def test_numbers_of_the_last_evaluation_are_on_the_page(tmp_path):
    page = Visible(write_report(write_run(tmp_path / "run")).read_text())
    assert "Held-out masked-LM loss 4.906 nats" in page.text
    assert "unigram baseline 6.012" in page.text
    assert "1.106 nats a token better than guessing by frequency" in page.text
    assert "13.6 % of 61,440 masked tokens" in page.text
    assert "49.9 % 95 % interval 47.1 to 52.6, of 1,234 pairs" in page.text
    assert "cannot be told from chance" in page.text
    assert "123 k tokens in 30 steps and 1.0 minutes" in page.text
    # H = 256, I = 1024, E = 128, V = 8000, by the sums of the paper
    assert "2,020,290" in page.text
    assert "finished" in page.text


def test_curves_end_where_the_events_end(tmp_path):
    page = write_report(write_run(tmp_path / "run")).read_text()
    drawings = re.findall(r"<figure>.*?</figure>", page, re.DOTALL)
    assert len(drawings) == 6
    loss = drawings[0]
    assert "unigram baseline" in loss
    held_out = re.search(r'<path d="([^"]*)"[^>]*stroke: var\(--held-out\)', loss)
    assert held_out
    heights = [float(y) for y in re.findall(r"[ML] [\d.]+ ([\d.]+)", held_out[1])]
    # three evaluations, drawn to scale: SVG heights grow downwards as losses fall
    assert len(heights) == 3
    drawn = (heights[1] - heights[0]) / (heights[2] - heights[0])
    assert drawn == pytest.approx((LOSSES[0] - LOSSES[1]) / (LOSSES[0] - LOSSES[2]), abs=1e-3)


def test_page_needs_nothing_from_outside(tmp_path):
    page = write_report(write_run(tmp_path / "run")).read_text()
    outside = re.findall(r"(?:src|href)\s*=\s*[\"'](?!#)[^\"']*|url\((?!#)|@import", page)
    assert outside == []
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_text_of_users_is_escaped(tmp_path):
    evil = '<script>alert(1)</script>"&'
    run = write_run(tmp_path / "<img src=x>", model=evil)
    answers = [[{"token": evil, "probability": 0.625}]]
    (run / "examples.json").write_text(
        json.dumps([{"text": f"{evil} is [MASK]", "answers": answers}])
    )
    page = write_report(run).read_text()
    visible = Visible(page)
    assert "script" not in visible.tags
    assert "img" not in visible.tags
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;") >= 4
    assert "62.5 %" in visible.text


@pytest.mark.parametrize("evaluations", [0, 1])
def test_killed_run_has_a_page_that_says_so(tmp_path, evaluations):
    run = write_run(tmp_path / "run", evaluations=evaluations, end=None)
    with (run / "events.jsonl").open("a") as file:
        file.write('{"event": "step", "st')  # cut by the kill
    text = Visible(write_report(run).read_text()).text
    assert f"unfinished: the log covers {evaluations * 33.3:.0f}% of the budget" in text
    assert "--resume" in text
    assert ("6.812" in text) == (evaluations == 1)
    if not evaluations:
        assert "No held-out evaluation was logged" in text


def test_worse_than_the_baseline_is_said(tmp_path):
    text = Visible(write_report(write_run(tmp_path / "run", evaluations=1)).read_text()).text
    assert "0.800 nats a token worse than guessing by frequency" in text


def test_stopped_run_is_told_from_a_finished_one(tmp_path):
    text = Visible(write_report(write_run(tmp_path / "run", evaluations=2, end=False)).read_text())
    assert "stopped at 67% of the budget" in text.text


def test_other_directory_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no recipe\.yaml"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("preset", "bars"), [("albert-mini", 2), ("bert-mini", 12), ("bert-large", 48)]
)
def test_plan_has_one_bar_per_stretch_of_equal_weights(preset, bars):
    assert plan_svg(PRESETS[preset].plan).count("<rect") == bars


def test_curve_image_draws_every_run_and_the_baseline(tmp_path):
    runs = [write_run(tmp_path / name) for name in ("first", "costs $5")]
    drawing = curve_image(runs, tmp_path / "curve.svg").read_text()
    for text in ("first", "costs $5", "unigram baseline"):
        assert text in drawing
    assert curve_image(runs, tmp_path / "a.png", against="minutes").read_bytes()[:4] == b"\x89PNG"


def test_curve_image_of_sentence_order(tmp_path):
    run = write_run(tmp_path / "run")
    path = curve_image([run], tmp_path / "order.svg", measure="sentence_accuracy")
    drawing = path.read_text()
    for text in ("held-out sentence accuracy", "chance"):
        assert text in drawing
    assert "unigram" not in drawing


def test_curve_image_needs_evaluations(tmp_path):
    run = write_run(tmp_path / "run", evaluations=0)
    with pytest.raises(InputError, match="no evaluation"):
        curve_image([run], tmp_path / "a.png")
