"""The held-out masked-LM loss of a saved model: litebert beside transformers, on the same batches.

    python benchmarks/heldout_loss.py MODEL_DIR --data SHARDS

MODEL_DIR is the model/ of a run, SHARDS a corpus made by `litebert prepare` with its tokenizer.
Prints one JSON line; both losses are nats per masked token, computed in fp32.
"""

import argparse
import json
from importlib.metadata import version

import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from litebert import load, load_tokenizer
from litebert.text.batch_settings import BatchSettings
from litebert.text.pretrain_batch import PretrainBatch
from litebert.text.shards import Shards
from litebert.train.evaluation import evaluate, held_out_batches
from report import line


@torch.inference_mode()
def transformers_loss(directory: str, batches: list[PretrainBatch]) -> float:
    """Mean cross-entropy per masked token of the model that transformers loads from a directory."""
    from transformers import AutoModelForPreTraining

    model = AutoModelForPreTraining.from_pretrained(directory).float().eval()
    encoder = getattr(model, model.base_model_prefix)
    head = model.predictions if hasattr(model, "predictions") else model.cls.predictions
    total, count = 0.0, 0
    for batch in batches:
        cuts = torch.from_numpy(batch.offsets[1:-1])
        rows = [torch.from_numpy(batch.tokens).tensor_split(cuts)]
        rows += [torch.from_numpy(batch.segments).tensor_split(cuts)]
        rows += [torch.ones(len(batch.tokens), dtype=torch.long).tensor_split(cuts)]
        ids, types, mask = (pad_sequence(list(row), batch_first=True) for row in rows)
        hidden = encoder(input_ids=ids, token_type_ids=types, attention_mask=mask)
        packed = hidden.last_hidden_state[mask.bool()]
        # logits of all positions would take half a gigabyte a batch
        logits = head(packed[torch.from_numpy(batch.predicted_positions)])
        targets = torch.from_numpy(batch.predicted_tokens)
        total += float(F.cross_entropy(logits, targets, reduction="sum"))
        count += len(targets)
    return total / count


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL_DIR")
    parser.add_argument("--data", required=True, metavar="SHARDS")
    parser.add_argument("--batches", type=int, default=20, help="batches of 4,096 tokens")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--objective", default="mlm+sop")
    asked = parser.parse_args(argv)
    shards = Shards.open(asked.data)
    tokenizer = load_tokenizer(asked.model)
    assert tokenizer.fingerprint == shards.fingerprint, "another tokenizer made the shards"
    settings = BatchSettings(objective=asked.objective, max_length=asked.max_length)
    batches = held_out_batches(shards, settings)
    count = min(asked.batches, batches.num_batches)
    model = load(asked.model)
    ours = evaluate(model, batches, limit=count, device=torch.device("cpu"))
    # the batches that `evaluate` looks at: evenly over the corpus
    numbers = [index * batches.num_batches // count for index in range(count)]
    theirs = transformers_loss(asked.model, [batches.batch(number) for number in numbers])
    found = line(
        "heldout_loss",
        case=f"{asked.model} on {asked.data}, {count} batches",
        unit="nats per masked token",
        runs=[ours.mlm_loss],
        peer=f"transformers {version('transformers')}",
        peer_value=theirs,
    )
    # all digits, since it is the difference that is asked
    exact = {"ours": ours.mlm_loss, "difference": ours.mlm_loss - theirs}
    print(json.dumps(json.loads(found) | exact | {"predictions": ours.predictions}))


if __name__ == "__main__":
    main()
