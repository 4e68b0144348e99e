"""Parameters of a model by part, counted from its configuration without making it.

The sums of Lan et al. 2020 (arXiv 1909.11942), Table 1, to the unit; checked against real models.
"""

from litebert.config import ModelConfig


def embedding_parameters(config: ModelConfig, *, factorised: bool = True) -> int:
    """Tables, LayerNorm and projection; `factorised=False` counts tables of width H instead."""
    width = config.embedding_size if factorised else config.hidden_size
    entries = config.vocab_size + config.max_positions + config.segment_types
    tables = entries * width + 2 * width
    projected = factorised and config.embedding_projection
    return tables + (width * config.hidden_size + config.hidden_size if projected else 0)


def attention_parameters(config: ModelConfig) -> int:
    """One attention sublayer: query, key, value, output, LayerNorm."""
    return 4 * (config.hidden_size + 1) * config.hidden_size + 2 * config.hidden_size


def feed_forward_parameters(config: ModelConfig) -> int:
    """One feed-forward sublayer: two dense layers and LayerNorm."""
    hidden, inner = config.hidden_size, config.inner_size
    return (hidden + 1) * inner + (inner + 1) * hidden + 2 * hidden


def encoder_parameters(config: ModelConfig) -> int:
    """Embeddings, every block that the plan uses, and the pooler."""
    blocks = config.plan.attentions * attention_parameters(config)
    blocks += config.plan.feed_forwards * feed_forward_parameters(config)
    pooler = (config.hidden_size + 1) * config.hidden_size
    return embedding_parameters(config) + blocks + pooler


def head_parameters(config: ModelConfig) -> int:
    """Masked-LM head, its matrix tied to the embeddings, and sentence head."""
    hidden, embed = config.hidden_size, config.embedding_size
    masked_lm = (hidden + 1) * embed + 2 * embed + config.vocab_size
    return masked_lm + 2 * hidden + 2
