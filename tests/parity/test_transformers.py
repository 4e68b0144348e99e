"""Our ALBERT and BERT are those of transformers: outputs, gradients and files, both ways."""

import random
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

import litebert
from litebert.interop.huggingface_names import LAYOUTS, PROJECTION
from litebert.model.loss import masked_lm_loss, sentence_loss

transformers = pytest.importorskip("transformers")

ALBERT = litebert.ModelConfig(
    hidden_size=32,
    heads=4,
    depth=4,
    inner_size=80,
    embedding_size=24,
    vocab_size=101,
    max_positions=48,
)
SQUARE = replace(ALBERT, embedding_size=32)
BERT = replace(SQUARE, sharing="none", embedding_projection=False, activation="gelu_erf")
CONFIGS = {
    "albert": ALBERT,
    "albert-erf": replace(ALBERT, activation="gelu_erf"),
    "albert-one-head": replace(ALBERT, heads=1, depth=3),
    "albert-one-layer": replace(ALBERT, depth=1),
    "albert-2-groups": replace(ALBERT, sharing="groups", groups=2),
    "albert-3-groups-of-7": replace(ALBERT, sharing="groups", groups=3, depth=7),
    "albert-2-inner": replace(ALBERT, inner_blocks=2),
    "albert-2-groups-2-inner": replace(ALBERT, sharing="groups", groups=2, inner_blocks=2),
    "albert-unshared": replace(ALBERT, sharing="none"),
    "albert-unshared-2-inner": replace(ALBERT, sharing="none", depth=2, inner_blocks=2),
    "albert-square": SQUARE,
    "albert-square-no-projection": replace(SQUARE, embedding_projection=False),
    "albert-square-groups-no-projection": replace(
        SQUARE, sharing="groups", groups=2, embedding_projection=False, activation="gelu_erf"
    ),
    "albert-wide-eps": replace(ALBERT, layer_norm_eps=1e-3, segment_types=3, inner_size=17),
    "bert": BERT,
    "bert-tanh": replace(BERT, activation="gelu_tanh", depth=2, heads=2),
    "bert-one-layer": replace(BERT, depth=1, vocab_size=67, max_positions=33),
}
TOLERANCE = 1e-5
CASES = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def ragged(config: litebert.ModelConfig, seed: int = 0):
    draw = random.Random(seed)
    lengths = [1, config.max_positions, 2, *(draw.randint(3, config.max_positions) for _ in "abc")]
    ids = [[draw.randrange(1, config.vocab_size) for _ in range(length)] for length in lengths]
    types = [[int(place >= length // 2) for place in range(length)] for length in lengths]
    return ids, types


def padded(sequences: list[list[int]]) -> torch.Tensor:
    rows = [torch.tensor(sequence) for sequence in sequences]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def run_theirs(theirs, ids, types):
    mask = padded([[1] * len(sequence) for sequence in ids])
    base = getattr(theirs, theirs.base_model_prefix)
    inputs = {"input_ids": padded(ids), "token_type_ids": padded(types), "attention_mask": mask}
    encoded = base(**inputs)
    heads = theirs(**inputs)
    sentence = heads.sop_logits if "sop_logits" in heads else heads.seq_relationship_logits
    real = mask.bool()
    return (
        encoded.last_hidden_state[real],
        encoded.pooler_output,
        heads.prediction_logits[real],
        sentence,
    )


def run_ours(ours: litebert.Model, ids, types):
    out = ours(litebert.pack(ids, types))
    return (
        out.hidden,
        out.pooled,
        ours.mlm_logits(out.hidden),
        ours.sentence_logits(out.pooled),
    )


def load_theirs(directory, attention="eager"):
    theirs, report = transformers.AutoModelForPreTraining.from_pretrained(
        directory, output_loading_info=True, attn_implementation=attention
    )
    assert not any(report.values()), report
    return theirs.eval()


@CASES
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_transformers_loads_what_we_save_and_computes_the_same(
    config, attention, random_model, tmp_path
):
    ours = random_model(config)
    litebert.save(ours, None, tmp_path)
    theirs = load_theirs(tmp_path, attention)
    ids, types = ragged(config)
    with torch.no_grad():
        for mine, other in zip(
            run_ours(ours, ids, types), run_theirs(theirs, ids, types), strict=True
        ):
            torch.testing.assert_close(mine, other, atol=TOLERANCE, rtol=0)


@CASES
def test_gradients_of_the_pretraining_loss_are_those_of_transformers(
    config, random_model, tmp_path
):
    ours = random_model(config)
    litebert.save(ours, None, tmp_path)
    theirs = load_theirs(tmp_path)
    ids, types = ragged(config, seed=1)
    total = sum(map(len, ids))
    generator = torch.Generator().manual_seed(1)
    places = torch.randperm(total, generator=generator)[: max(1, total // 5)]
    targets = torch.randint(config.vocab_size, places.shape, generator=generator)
    labels = torch.randint(2, (len(ids),), generator=generator)

    out = ours(litebert.pack(ids, types))
    table = ours.embeddings.tokens.weight
    x_PE = ours.mlm_head.transform(out.hidden[places])
    masked, _ = masked_lm_loss(x_PE, table, ours.mlm_head.bias, targets)
    order, _ = sentence_loss(ours.sentence_logits(out.pooled), labels)
    loss = masked / len(places) + order / len(labels)
    loss.backward()

    _, _, predictions, sentence = run_theirs(theirs, ids, types)
    expected = F.cross_entropy(predictions[places], targets) + F.cross_entropy(sentence, labels)
    expected.backward()

    torch.testing.assert_close(loss, expected, atol=TOLERANCE, rtol=0)
    family = theirs.config.model_type
    slots = LAYOUTS[family].slots(config)
    compared = 0
    for name, parameter in theirs.named_parameters():
        if name.startswith(PROJECTION) and not config.embedding_projection:
            continue  # the identity that stands where ours has nothing
        slot = slots[name]
        ours_grad = ours.get_parameter(slot.parameter).grad
        if slot.third is not None:
            ours_grad = ours_grad.chunk(3)[slot.third]
        # Gradients that cancel to zero (the key's bias) have no relative precision.
        torch.testing.assert_close(
            ours_grad, parameter.grad, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: name + text
        )
        compared += parameter.numel()
    assert compared == sum(parameter.numel() for parameter in ours.parameters())


@CASES
def test_saving_and_loading_returns_every_bit(config, random_model, tmp_path):
    ours = random_model(config)
    litebert.save(ours, None, tmp_path / "ours")
    again = litebert.load(tmp_path / "ours")
    load_theirs(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    through_theirs = litebert.load(tmp_path / "theirs")
    for other in (again, through_theirs):
        assert other.config == config
        for (name, mine), (_, loaded) in zip(
            ours.named_parameters(), other.named_parameters(), strict=True
        ):
            assert torch.equal(mine, loaded), name


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (
            transformers.AlbertConfig(
                hidden_size=24,
                num_attention_heads=3,
                num_hidden_layers=6,
                num_hidden_groups=3,
                intermediate_size=40,
                embedding_size=16,
                vocab_size=61,
                hidden_act="gelu_pytorch_tanh",
            ),
            transformers.AlbertForPreTraining,
        ),
        (
            transformers.AlbertConfig(
                hidden_size=24,
                num_attention_heads=3,
                num_hidden_layers=2,
                intermediate_size=40,
                embedding_size=24,
                vocab_size=61,
                hidden_act="gelu",
            ),
            transformers.AlbertForPreTraining,
        ),
        (
            transformers.BertConfig(
                hidden_size=24,
                num_attention_heads=3,
                num_hidden_layers=3,
                intermediate_size=40,
                vocab_size=61,
            ),
            transformers.BertForPreTraining,
        ),
    ],
    ids=["albert-groups", "albert-square", "bert"],
)
def test_we_load_what_transformers_made(config, model, tmp_path):
    torch.manual_seed(0)
    theirs = model(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    ours = litebert.load(tmp_path)
    ids, types = ragged(replace(ours.config, max_positions=40))
    with torch.no_grad():
        for mine, other in zip(
            run_ours(ours, ids, types), run_theirs(theirs, ids, types), strict=True
        ):
            torch.testing.assert_close(mine, other, atol=TOLERANCE, rtol=0)


def test_a_projection_trained_elsewhere_is_kept(random_model, tmp_path):
    """We save "no projection" as an identity; transformers may train it afterwards."""
    litebert.save(random_model(CONFIGS["albert-square-no-projection"]), None, tmp_path)
    theirs = load_theirs(tmp_path)
    with torch.no_grad():
        theirs.albert.encoder.embedding_hidden_mapping_in.weight[0, 1] = 0.5
    theirs.save_pretrained(tmp_path)
    ours = litebert.load(tmp_path)
    assert ours.config.embedding_projection
    ids, types = ragged(ours.config)
    with torch.no_grad():
        for mine, other in zip(
            run_ours(ours, ids, types), run_theirs(theirs, ids, types), strict=True
        ):
            torch.testing.assert_close(mine, other, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("config", [ALBERT, BERT], ids=["albert", "bert"])
def test_every_auto_class_finds_all_its_weights(config, random_model, tmp_path):
    litebert.save(random_model(config), None, tmp_path)
    for name in ("AutoModel", "AutoModelForMaskedLM", "AutoModelForPreTraining"):
        _, report = getattr(transformers, name).from_pretrained(tmp_path, output_loading_info=True)
        assert not report["missing_keys"], name
        heads = {"AutoModel": ("predictions.", "sop_classifier.", "cls.")}
        heads["AutoModelForMaskedLM"] = ("albert.pooler", "bert.pooler", "sop_", "cls.seq_")
        left_over = [
            key for key in report["unexpected_keys"] if not key.startswith(heads.get(name, ()))
        ]
        assert not left_over, name
