"""The two sublayers of a block; post-LN, as in the original.

Google's modeling.py: attention and feed-forward each followed by dropout, residual and LayerNorm.
Dropout after the feed-forward output is Google's; transformers' ALBERT leaves it out.
"""

# T = packed tokens, H = hidden, N = heads, D = head size

from torch import Tensor, nn
from torch.nn import functional as F

from litebert.config import ModelConfig
from litebert.model.activation import activate
from litebert.model.attention import attend
from litebert.model.layers import LayerNorm, Linear
from litebert.model.packed import Layout
from litebert.model.windows import window_attention


class Attention(nn.Module):
    """Attention sublayer: fused query-key-value projection, attend, output, residual, LayerNorm."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        hidden = config.hidden_size
        self.shape = (3, config.heads, config.head_size)
        self.attention_dropout = config.attention_dropout
        self.hidden_dropout = config.hidden_dropout
        self.qkv = Linear(hidden, 3 * hidden)
        self.output = Linear(hidden, hidden)
        self.norm = LayerNorm(hidden, eps=config.layer_norm_eps)

    def forward(
        self,
        x_TH: Tensor,
        layout: Layout,
        rows: Tensor | None = None,
        radius: int | None = None,
    ) -> Tensor:
        """(T, H) to (T, H), or to (R, H) for the `rows` (R,) that are needed after attention.

        With `radius` tokens attend to so many neighbours on either side and to [CLS] only.
        """
        qkv_T3ND = self.qkv(x_TH).unflatten(-1, self.shape)
        dropout = self.attention_dropout if self.training else 0.0
        if radius is None:
            attended_TH = attend(qkv_T3ND, layout, dropout=dropout).flatten(1)
        else:
            attended_TH = window_attention(qkv_T3ND, layout, radius, dropout=dropout).flatten(1)
        if rows is not None:
            attended_TH, x_TH = attended_TH.index_select(0, rows), x_TH.index_select(0, rows)
        out_TH = F.dropout(self.output(attended_TH), self.hidden_dropout, self.training)
        return self.norm(x_TH + out_TH)


class FeedForward(nn.Module):
    """Feed-forward sublayer: H to I, GELU, I to H, residual, LayerNorm."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.activation = config.activation
        self.hidden_dropout = config.hidden_dropout
        self.inner = Linear(config.hidden_size, config.inner_size)
        self.output = Linear(config.inner_size, config.hidden_size)
        self.norm = LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x_TH: Tensor) -> Tensor:
        out_TH = self.output(activate(self.inner(x_TH), self.activation))
        return self.norm(x_TH + F.dropout(out_TH, self.hidden_dropout, self.training))
