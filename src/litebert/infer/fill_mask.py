"""Fill-mask: the likeliest pieces for every [MASK] that a person typed into a text.

Only here does a typed [MASK] become the mask id; everywhere else it is text like any other.
Checked against transformers' fill-mask pipeline.
"""

import torch

from litebert.errors import InputError
from litebert.model.encoder import Model
from litebert.model.packed import pack
from litebert.text.tokenizer import Tokenizer

MaskAnswer = list[tuple[str, float]]
"""Pieces as text with their probabilities, likeliest first."""


@torch.inference_mode()
def fill_mask(
    model: Model, tokenizer: Tokenizer, text: str, *, top: int = 5, depth: int | None = None
) -> list[MaskAnswer]:
    """The `top` likeliest pieces for every [MASK] of a text, with their probabilities.

    Masks are answered one by one, each given the text and not the answers of the others. `depth`
    runs another number of layers. Raises InputError for a text without [MASK], a text longer than
    the model's positions, and a `top` outside 1 to the size of the vocabulary.
    """
    if not 1 <= top <= model.config.vocab_size:
        raise InputError(f"top={top} must lie between 1 and {model.config.vocab_size}")
    ids = [tokenizer.cls_id, *tokenizer.encode_with_mask(text), tokenizer.sep_id]
    places = [place for place, token in enumerate(ids) if token == tokenizer.mask_id]
    if not places:
        raise InputError(f"no [MASK] in {_shortened(text)!r}: write [MASK] where a word is wanted")
    was_training = model.training
    model.eval()
    device = model.embeddings.tokens.weight.device
    hidden = model(pack([ids]).to(device), depth).hidden
    model.train(was_training)
    # in fp32: bf16 gives pieces that differ the same logit
    likeliest = model.mlm_logits(hidden[places].float()).softmax(-1).topk(top)
    return [
        [
            (tokenizer.decode([token]) or tokenizer.piece(token), share)
            for token, share in zip(tokens, shares, strict=True)
        ]
        for tokens, shares in zip(
            likeliest.indices.tolist(), likeliest.values.tolist(), strict=True
        )
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
