"""The model card of a run: README.md as the Hugging Face hub reads it, from logged facts only.

Every number comes from the run's recipe and events or from index.json of its shards; what is not
recorded is not stated.
"""

import hashlib
from pathlib import Path
from typing import Any

import yaml

from litebert.config import ModelConfig
from litebert.interop.huggingface_config import family_of, refusal
from litebert.model import size
from litebert.runs.record import RunRecord, corpus_index
from litebert.text.remote_shards import local_shards
from litebert.train.provenance import code_version

# Files of a corpus listed one by one; of a larger one only the hash of its index is given.
FILES_LISTED = 8
_HOME = "https://github.com/litebert/litebert"
_OBJECTIVES = {
    "mlm": "masked language modelling",
    "mlm+sop": "masked language modelling and sentence order",
    "mlm+nsp": "masked language modelling and next sentence",
}


def model_card(run_directory: str | Path, *, language: str | None = None) -> str:
    """README.md for the model of a run, in the hub's model-card format.

    `language` is a code such as "en"; it is left out when not given, and so is a licence, which
    only who trained the model can choose. Raises InputError when the directory is no run.
    """
    record = RunRecord.read(run_directory)
    config = record.config
    sections = [
        _front_matter(config, language),
        _title(record, config),
        _results(record),
        _use(config),
        _data(record),
        _training(record),
        _limits(record),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(config: ModelConfig | None, language: str | None) -> str:
    family = family_of(config) if config else None
    values: dict[str, Any] = {"language": language} if language else {}
    values["library_name"] = "litebert" if family == "litebert" else "transformers"
    values["pipeline_tag"] = "fill-mask"
    values["tags"] = [tag for tag in (family, "litebert", "fill-mask") if tag]
    values["tags"] = list(dict.fromkeys(values["tags"]))
    return f"---\n{yaml.safe_dump(values, sort_keys=False).strip()}\n---"


def _title(record: RunRecord, config: ModelConfig | None) -> str:
    recipe = record.recipe
    lines = [f"# {Path(recipe.model).name}", ""]
    how = f"Pretrained by {_objective(record)} with [litebert]({_HOME})"
    if config is None:
        return "\n".join([*lines, how + "."])
    count = size.encoder_parameters(config) + size.head_parameters(config)
    attentions, feed_forwards = config.plan.attentions, config.plan.feed_forwards
    lines.append(
        f"{how}: {count:,} parameters with the heads of pretraining. {config.depth} layers over "
        f"{_sets(attentions, 'attention')} and {_sets(feed_forwards, 'feed-forward')}, "
        f"hidden size {config.hidden_size}, {config.heads} heads, embeddings of "
        f"{config.embedding_size}, vocabulary of {config.vocab_size:,}, up to "
        f"{config.max_positions} tokens."
    )
    return "\n".join(lines)


def _objective(record: RunRecord) -> str:
    return _OBJECTIVES[record.recipe.objective]


def _sets(count: int, kind: str) -> str:
    return f"one set of {kind} weights" if count == 1 else f"{count} sets of {kind} weights"


def _results(record: RunRecord) -> str:
    found = record.evaluation
    if found is None:
        return "## Results\n\nThe run was not evaluated on held-out text."
    rows = ["| held out | model | to compare with |", "|---|---|---|"]
    baseline = found["unigram_loss"]
    compared = "" if baseline is None else f"{baseline:.3f}, predicting by frequency"
    rows.append(f"| masked-LM loss, nats per masked token | {found['mlm_loss']:.3f} | {compared} |")
    rows.append(f"| masked-LM accuracy | {found['mlm_accuracy']:.1%} | |")
    if found["sentence_accuracy"] is not None:
        low, high = found["sentence_interval"]
        rows.append(
            f"| sentence accuracy | {found['sentence_accuracy']:.1%} "
            f"(95 % interval {low:.1%} to {high:.1%}) | 50 %, chance |"
        )
    counted = f"Over {found['predictions']:,} masked tokens"
    if found["sentences"]:
        counted += f" and {found['sentences']:,} sentence pairs"
    table = "\n".join(rows)
    return (
        f"## Results\n\n{table}\n\n{counted}, at step {found['step']:,}. 15 % of the tokens are "
        f"masked, in whole words, at sequences of up to {record.recipe.max_length} tokens."
    )


def _use(config: ModelConfig | None) -> str:
    if config is not None and (reason := refusal(config)):
        code = 'import litebert\nmodel = litebert.load("PATH_OR_ID")'
        return f"## Use\n\n```python\n{code}\n```\n\n{reason[0].upper()}{reason[1:]}."
    code = (
        'from transformers import pipeline\nfill_mask = pipeline("fill-mask", model="PATH_OR_ID")'
    )
    return (
        f"## Use\n\n```python\n{code}\n```\n\nMade to be fine-tuned for classification, tagging "
        f"or extracting answers, and to fill masks; it does not write text."
    )


def _data(record: RunRecord) -> str:
    parts = ["## Data"]
    for what, path in (("training", record.recipe.data), ("held out", record.recipe.valid)):
        if path is None:
            continue
        index = corpus_index(path)
        if index is None:
            named = f"{what.capitalize()}: `{_name(path)}`"
            parts.append(f"{named}; no longer at hand to be described.")
            continue
        parts.append(_corpus(what, path, index))
    return "\n\n".join(parts)


def _name(location: str | Path) -> str:
    return str(location).rstrip("/").rpartition("/")[2]


def _corpus(what: str, location: str | Path, index: dict[str, Any]) -> str:
    content = (local_shards(location) / "index.json").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    lines = [
        f"{what.capitalize()}: `{_name(location)}`, {index['documents']:,} documents, "
        f"{index['segments']:,} segments, {index['tokens']:,} tokens. Tokenizer fingerprint "
        f"`{index['tokenizer_fingerprint']}`; sha256 of index.json `{digest}`."
    ]
    if len(index["shards"]) <= FILES_LISTED:
        lines += ["", "| file | tokens | sha256 |", "|---|---|---|"]
        lines += [
            f"| {shard['file']} | {shard['tokens']:,} | `{shard['sha256']}` |"
            for shard in index["shards"]
        ]
    return "\n".join(lines)


def _training(record: RunRecord) -> str:
    latest, facts = record.latest, record.facts
    commit = facts.get("commit") or code_version()
    arithmetic = facts.get("precision")
    how = [f"{latest['tokens']:,} tokens in {latest['step']:,} optimizer steps"]
    how.append(f"{latest['seconds'] / 60:.1f} minutes")
    how += [str(facts[name]) for name in ("hardware", "device") if name in facts][:1]
    if arithmetic:
        how.append(f"activations in {arithmetic}")
    values = yaml.safe_load(record.recipe.to_yaml())
    # where the text lay on the machine of the run says nothing to a reader
    values |= {name: Path(values[name]).name for name in ("data", "valid") if name in values}
    recipe = yaml.safe_dump(values, sort_keys=False).strip()
    return (
        f"## Training\n\n{', '.join(how)}. Code: `{commit}`. The recipe:\n\n```yaml\n{recipe}\n```"
    )


def _limits(record: RunRecord) -> str:
    tokens = record.latest["tokens"]
    return (
        "## Limits\n\n"
        f"This run showed it {tokens:,} tokens, repetitions counted; what is biased, wrong or "
        "missing in that text is so in the model, and the training code filters nothing out. Only "
        "the results above were measured: measure it on your own task before you rely on it."
    )
