"""The model card: the hub can read its head, and its facts are those of the run and the shards."""

import dataclasses
import hashlib
import json

import pytest
import yaml

from litebert import ModelConfig, load_tokenizer
from litebert.runs.card import model_card
from litebert.text.prepare import prepare
from litebert.train.events import EventLog
from litebert.train.recipe import PretrainRecipe

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "fox", "runs", "."]
CONFIG = ModelConfig(
    hidden_size=8, heads=2, depth=3, inner_size=16, embedding_size=4, vocab_size=len(VOCABULARY)
)


@pytest.fixture
def run(tmp_path):
    """A finished run of 7 steps on shards of two documents."""
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    tokenizer = load_tokenizer(tmp_path / "vocab.txt")
    documents = [[["a red fox .", "a fox runs ."]], [["red ."]]]
    prepare(documents, tokenizer=tokenizer, output=tmp_path / "text")
    directory = tmp_path / "run"
    directory.mkdir()
    recipe = PretrainRecipe(data=tmp_path / "text", steps=7, lr=0.00625)
    (directory / "recipe.yaml").write_text(recipe.to_yaml())
    log = EventLog(directory)
    log.write("start", step=0, config=dataclasses.asdict(CONFIG), commit="abc123def456")
    log.write(
        "evaluation",
        step=7,
        tokens=28672,
        seconds=90.0,
        mlm_loss=2.5125,
        mlm_accuracy=0.314,
        unigram_loss=3.25,
        sentence_accuracy=0.62,
        sentence_interval=[0.58, 0.66],
        predictions=4000,
        sentences=555,
    )
    log.write("end", step=7, finished=True)
    log.close()
    return directory


def front_matter(card: str) -> dict:
    _, head, _ = card.split("---\n", 2)
    return yaml.safe_load(head)


def test_front_matter_says_what_the_hub_asks_and_nothing_unknown(run):
    head = front_matter(model_card(run))
    assert head == {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "tags": ["albert", "litebert", "fill-mask"],
    }
    assert front_matter(model_card(run, language="en"))["language"] == "en"


def test_hub_library_reads_the_card(run):
    from huggingface_hub import ModelCard

    card = ModelCard(model_card(run))
    assert card.data.library_name == "transformers"
    assert card.data.license is None
    assert card.text.strip().startswith("# albert-mini")


def test_results_stand_beside_baseline_and_interval(run):
    card = model_card(run)
    assert "| 2.513 | 3.250, predicting by frequency |" in card
    assert "| 62.0% (95 % interval 58.0% to 66.0%) | 50 %, chance |" in card
    assert "4,000 masked tokens and 555 sentence pairs, at step 7" in card
    assert "abc123def456" in card


def test_data_facts_are_those_of_the_files(run):
    card = model_card(run)
    shards = run.parent / "text"
    file_hash = hashlib.sha256((shards / "shard-00000.safetensors").read_bytes()).hexdigest()
    index_hash = hashlib.sha256((shards / "index.json").read_bytes()).hexdigest()
    assert "2 documents, 3 segments, 10 tokens" in card
    assert f"| shard-00000.safetensors | 10 | `{file_hash}` |" in card
    assert index_hash in card
    assert load_tokenizer(run.parent / "vocab.txt").fingerprint in card


def test_recipe_is_repeatable_and_tells_no_paths(run):
    card = model_card(run)
    recipe = yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])
    assert recipe["lr"] == 0.00625
    assert recipe["steps"] == 7
    assert str(run.parent) not in card


def test_lost_shards_are_not_described(run):
    (run.parent / "text" / "index.json").unlink()
    assert "no longer at hand" in model_card(run)
    assert "documents" not in model_card(run)


def test_model_that_transformers_lacks_is_not_offered_to_it(run):
    events = (run / "events.jsonl").read_text().splitlines()
    start = json.loads(events[0])
    start["config"] |= {"sharing": "attention"}
    (run / "events.jsonl").write_text("\n".join([json.dumps(start), *events[1:]]))
    card = model_card(run)
    assert front_matter(card)["library_name"] == "litebert"
    assert "pipeline(" not in card
    assert "3 sets of feed-forward weights" in card


def test_code_in_the_card_is_python(run):
    code = model_card(run).split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert len(code.strip().splitlines()) == 2
