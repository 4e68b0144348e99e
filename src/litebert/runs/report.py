"""report.html: what a pretraining run did, on one page that needs no network and no scripts.

Made from recipe.yaml, events.jsonl, examples.json and the saved configuration in the run
directory, so it can be written again at any time, also for a run that was killed.
"""

import dataclasses
from html import escape
from pathlib import Path
from typing import Any

from litebert.config import ModelConfig
from litebert.files import write_atomically
from litebert.model import size
from litebert.runs.curves import PANELS, panel_svg
from litebert.runs.drawing import short_number
from litebert.runs.page import halves, page, section, table
from litebert.runs.plan_diagram import plan_svg
from litebert.runs.record import RunRecord
from litebert.train.recipe import PretrainRecipe


def write_report(run_directory: str | Path) -> Path:
    """Write report.html of a finished or unfinished run; returns its path.

    Raises InputError when the directory is no run directory.
    """
    record = RunRecord.read(run_directory)
    path = record.directory / "report.html"
    write_atomically(path, _page(record).encode())
    return path


def _page(record: RunRecord) -> str:
    title = f"{record.recipe.model}: {_name(record)}"
    sections = [
        _head(record),
        _tiles(record),
        f"<p>{escape(reading(record))}</p>",
        _curves(record),
        _examples(record),
        _model(record),
        section("Recipe", halves(_recipe_rows(record.recipe))),
        section("The run", f'<div class="panel">{table(_fact_rows(record))}</div>'),
        section("Load it", _loading(record)),
    ]
    return page(
        title,
        sections,
        footer="Written by litebert from recipe.yaml, events.jsonl and examples.json beside this "
        "page.",
    )


def reading(record: RunRecord) -> str:
    """What the newest evaluation means, in a sentence or two."""
    found = record.evaluation
    if found is None:
        return (
            "No held-out evaluation was logged, so nothing here says how the model does on text it "
            "was not trained on."
        )
    sentences = []
    if found["unigram_loss"] is not None:
        below = found["unigram_loss"] - found["mlm_loss"]
        if below > 0:
            sentences.append(
                f"On held-out text the model is {below:.3f} nats a token better than guessing by "
                f"frequency."
            )
        else:
            sentences.append(
                f"On held-out text the model is {-below:.3f} nats a token worse than guessing by "
                f"frequency: it has not learned from context yet."
            )
    if found["sentence_accuracy"] is not None:
        low, high = found["sentence_interval"]
        if low <= 0.5 <= high:
            sentences.append("Its sentence accuracy cannot be told from chance.")
        elif low > 0.5:
            sentences.append("Its sentence accuracy is above chance.")
        else:
            sentences.append("Its sentence accuracy is below chance.")
    return " ".join(sentences)


def _name(record: RunRecord) -> str:
    return record.directory.resolve().name


def _head(record: RunRecord) -> str:
    latest, recipe = record.latest, record.recipe
    if record.finished:
        state, css = "finished", "finished"
    elif record.stopped:
        state, css = f"stopped at {record.share:.0%} of the budget", "unfinished"
    else:
        state, css = f"unfinished: the log covers {record.share:.0%} of the budget", "unfinished"
    return (
        f'<header><h1>{escape(recipe.model)} <span class="state {css}">{state}</span></h1>'
        f'<p class="soft">{escape(_name(record))} · {escape(recipe.objective)} · '
        f"{short_number(latest['tokens'])} tokens in {latest['step']:,} steps and "
        f"{latest['seconds'] / 60:.1f} minutes</p></header>"
    )


def _tiles(record: RunRecord) -> str:
    found, tiles = record.evaluation, []
    if found is not None:
        baseline = found["unigram_loss"]
        beside = "no baseline" if baseline is None else f"unigram baseline {baseline:.3f}"
        tiles.append(("Held-out masked-LM loss", f"{found['mlm_loss']:.3f}", "nats", beside))
        accuracy = f"{100 * found['mlm_accuracy']:.1f}"
        asked = f"of {found['predictions']:,} masked tokens"
        tiles.append(("Held-out masked-LM accuracy", accuracy, "%", asked))
        if found["sentence_accuracy"] is not None:
            low, high = (f"{100 * bound:.1f}" for bound in found["sentence_interval"])
            note = f"95 % interval {low} to {high}, of {found['sentences']:,} pairs; chance 50"
            right = f"{100 * found['sentence_accuracy']:.1f}"
            tiles.append(("Held-out sentence accuracy", right, "%", note))
    steps = record.of("step")
    if steps:
        if found is None:
            loss = f"{steps[-1]['mlm_loss']:.3f}"
            tiles.append(("Training masked-LM loss", loss, "nats", "of the last lines logged"))
        rates = sorted(event["tokens_per_second"] for event in steps)
        median = short_number(rates[len(rates) // 2])
        tiles.append(("Speed", median, "tokens/s", "median of the run, evaluations left out"))
    drawn = (
        f'<div class="tile"><span>{escape(name)}</span><b>{value} <small>{unit}</small></b>'
        f"<span>{escape(note)}</span></div>"
        for name, value, unit, note in tiles
    )
    return f'<div class="tiles">{"".join(drawn)}</div>' if tiles else ""


def _curves(record: RunRecord) -> str:
    drawn = [(panel.title, panel_svg(record, panel)) for panel in PANELS]
    figures = (f"<figure><h3>{title}</h3>{svg}</figure>" for title, svg in drawn if svg)
    body = "".join(figures)
    if not body:
        return section("Learning curves", "<p>The run logged no step yet.</p>")
    return section("Learning curves", f'<div class="curves">{body}</div>')


def _examples(record: RunRecord) -> str:
    if not record.examples:
        return ""
    drawn = []
    for example in record.examples:
        sentence = escape(example["text"]).replace("[MASK]", "<mark>[MASK]</mark>")
        lists = "".join(_answers(answers) for answers in example["answers"])
        drawn.append(f'<div class="panel example"><p class="sentence">{sentence}</p>{lists}</div>')
    return section("What it puts for [MASK]", f'<div class="halves">{"".join(drawn)}</div>')


def _answers(answers: list[dict[str, Any]]) -> str:
    rows = (
        f"<span>{escape(answer['token'])}</span>"
        f'<span class="bar" style="width:{100 * answer["probability"]:.1f}%"></span>'
        f"<span>{100 * answer['probability']:.1f} %</span>"
        for answer in answers
    )
    return f'<div class="answers">{"".join(rows)}</div>'


def _model(record: RunRecord) -> str:
    config = record.config
    if config is None:
        return ""
    plan = f'<div class="panel"><h3>Weights used at each depth</h3>{plan_svg(config.plan)}</div>'
    tables = halves(_parameter_rows(config), _shape_rows(config))
    return section("The model", f'{plan}<div style="height:14px"></div>{tables}')


def _parameter_rows(config: ModelConfig) -> list[tuple[str, ...]]:
    attentions, feed_forwards = config.plan.attentions, config.plan.feed_forwards
    encoder, heads = size.encoder_parameters(config), size.head_parameters(config)
    embeddings = size.embedding_parameters(config)
    attention = attentions * size.attention_parameters(config)
    feed_forward = feed_forwards * size.feed_forward_parameters(config)
    return [
        ("parameters", f"{encoder + heads:,}", "encoder, pooler and heads of pretraining"),
        ("embeddings", f"{embeddings:,}", f"{config.vocab_size:,} entries"),
        ("attention", f"{attention:,}", _sets(attentions)),
        ("feed-forward", f"{feed_forward:,}", _sets(feed_forwards)),
        ("pooler", f"{encoder - embeddings - attention - feed_forward:,}", ""),
        ("heads", f"{heads:,}", "masked-LM matrix tied to the embeddings"),
    ]


def _sets(count: int) -> str:
    return "one set of weights" if count == 1 else f"{count} sets of weights"


def _shape_rows(config: ModelConfig) -> list[tuple[str, ...]]:
    sharing = config.sharing
    if sharing == "groups":
        sharing = f"{config.groups} groups"
    if config.inner_blocks > 1:
        sharing += f", {config.inner_blocks} blocks inside"
    return [
        ("hidden size", f"{config.hidden_size}"),
        ("depth", f"{config.depth}"),
        ("attention heads", f"{config.heads} of {config.head_size}"),
        ("feed-forward width", f"{config.inner_size}"),
        ("embedding size", f"{config.embedding_size}"),
        ("shared across depths", sharing),
    ]


def _recipe_rows(recipe: PretrainRecipe) -> list[tuple[str, ...]]:
    rows = []
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if value is not None:
            text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            note = "" if value != field.default else "default"
            rows.append((field.name, text, note))
    return rows


def _fact_rows(record: RunRecord) -> list[tuple[str, ...]]:
    facts = record.facts
    rows = [
        (name, str(facts[name]))
        for name in ("device", "hardware", "threads", "precision", "commit")
        if name in facts
    ]
    versions = facts.get("versions", {})
    if versions:
        rows.append(("versions", ", ".join(f"{name} {value}" for name, value in versions.items())))
    for event in record.of("resume"):
        rows.append(("resumed", f"from the checkpoint of step {event['step']:,}"))
    if checkpoints := record.of("checkpoint"):
        rows.append(("newest checkpoint", f"step {checkpoints[-1]['step']:,}"))
    return rows or [("start", "not logged yet")]


def _loading(record: RunRecord) -> str:
    if not record.finished:
        return (
            '<div class="panel"><p>The model is written when the run ends. Go on with:</p><pre>'
            f"litebert pretrain --output {escape(str(record.directory))} --resume</pre></div>"
        )
    code = (
        'import litebert\nmodel = litebert.load("model")\n'
        'tokenizer = litebert.load_tokenizer("model")\n\n'
        "# or, without litebert\nfrom transformers import pipeline\n"
        'pipeline("fill-mask", model="model")("Write a text with a [MASK].")'
    )
    return (
        f'<div class="panel"><p class="soft">In the run directory:</p>'
        f"<pre>{escape(code)}</pre></div>"
    )
