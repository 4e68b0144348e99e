"""Both objectives are learned where a corpus makes them easy: the whole way, text to weights."""

import json
import random

from litebert import load_tokenizer
from litebert.text.prepare import prepare
from litebert.train.pretrain import Pretraining
from litebert.train.recipe import RunSettings
from tiny_runs import SHAPE, tiny_recipe

ORDINALS = [f"o{number}" for number in range(6)]
FILLERS = [f"f{number}" for number in range(40)]


def test_sentence_order_and_masks_are_learned_from_ordinals(tmp_path):
    """Sentence k of a document begins with the k-th ordinal, so the order can be read off."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ORDINALS, *FILLERS]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    # At H32 the paper's deviation of .02 leaves attention uniform for the first 500 steps (LOG.md).
    shape = {**SHAPE, "hidden_dropout": 0.0, "attention_dropout": 0.0, "initializer_range": 0.1}
    (tmp_path / "shape.json").write_text(json.dumps(shape))
    tokenizer = load_tokenizer(tmp_path / "vocab.txt")
    draw = random.Random(0)
    for name, count in (("train", 400), ("valid", 100)):
        documents = [
            [[f"{ordinal} {draw.choice(FILLERS)} {draw.choice(FILLERS)}" for ordinal in ORDINALS]]
            for _ in range(count)
        ]
        prepare(documents, tokenizer=tokenizer, output=tmp_path / name)
    recipe = tiny_recipe(tmp_path, steps=600, batch_tokens=512, evaluations=1)
    (tmp_path / "run").mkdir()
    run = Pretraining(recipe, RunSettings(output=tmp_path / "run", tensorboard=False, workers=0))
    run.run()
    found = run.last_evaluation
    assert found is not None
    assert found.sentence_interval is not None
    assert found.sentence_interval[0] > 0.9
    assert found.mlm_loss < found.unigram_loss - 0.2
