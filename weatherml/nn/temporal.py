"""Networks over time: convolution, recurrence and attention on (B, S, F) sequences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class TemporalBlock(nn.Module):
    """x + two convolutions along time, each normed over the features of a step, with a 1 x 1 skip to the new width.

    The norm pools nothing over time or cases, so that a case's output does not depend on the batch around it.
    """

    def __init__(self, inputs: int, width: int, *, kernel: int, dropout: float) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(channels, width, kernel, padding=kernel // 2) for channels in (inputs, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.convs)
        self.skip = nn.Linear(inputs, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, S, inputs) to (B, S, width)."""
        branch = x
        for conv, norm in zip(self.convs, self.norms, strict=True):
            branch = self.dropout(functional.relu(norm(conv(branch.mT).mT)))
        out: Tensor = branch + self.skip(x)
        return out


class TemporalAttention(nn.Module):
    """Norm of x + attention(x) between all steps (Vaswani et al. 2017, arXiv 1706.03762)."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Let every step of (B, S, width) read from every other."""
        read, _ = self.attention(x, x, x, need_weights=False)
        out: Tensor = self.norm(x + read)
        return out

    def weights(self, x: Tensor) -> Tensor:
        """How much each step reads from each, (B, S, S), mean over heads; rows sum to 1."""
        _, weights = self.attention(x, x, x, need_weights=True)
        read: Tensor = weights
        return read


class SequenceClassifier(nn.Module):
    """One logit for a sequence: convolutions, a bidirectional LSTM, attention, the mean over time, a dense head.

    Args:
        features: F.
        width: of the convolutions.
        kernel: odd width of the convolutions, in steps.
        lstm_hidden: units of the LSTM in each direction.
        lstm_layers: of the LSTM.
        heads: of the attention; 0 leaves it out, with its norm.
        head: widths of the dense layers before the logit.
        dropout: share of activations dropped after each part.
        pooling: what the head reads: the `mean` over the steps, or the `last`, which has read from all others.
    """

    def __init__(
        self,
        features: int,
        *,
        width: int,
        kernel: int,
        lstm_hidden: int,
        lstm_layers: int,
        heads: int,
        head: Sequence[int],
        dropout: float,
        pooling: str = "mean",
    ) -> None:
        super().__init__()
        self.pooling = pooling
        between = dropout if lstm_layers > 1 else 0.0
        both = 2 * lstm_hidden
        self.block = TemporalBlock(features, width, kernel=kernel, dropout=dropout)
        self.lstm = nn.LSTM(width, lstm_hidden, lstm_layers, batch_first=True, bidirectional=True, dropout=between)
        self.attention = TemporalAttention(both, heads=heads, dropout=dropout) if heads else None
        widths = [both, *head]
        dense = [
            layer
            for inputs, outputs in zip(widths, head, strict=False)
            for layer in (nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout))
        ]
        self.head = nn.Sequential(*dense, nn.Linear(widths[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        """The logits of (B, S, F), (B,)."""
        steps = self.encode(x)
        if self.attention is not None:
            steps = self.attention(steps)
        logits: Tensor = self.head(steps.mean(1) if self.pooling == "mean" else steps[:, -1])
        return logits.squeeze(-1)

    def encode(self, x: Tensor) -> Tensor:
        """What stands at each step of (B, S, F) once convolutions and LSTM have read it, (B, S, 2 lstm_hidden)."""
        steps, _ = self.lstm(self.block(x))
        encoded: Tensor = steps
        return encoded

    @torch.no_grad()
    def attention_weights(self, x: Tensor) -> Tensor:
        """How much each step of (B, S, F) reads from each, (B, S, S); of networks with attention."""
        assert self.attention is not None
        return self.attention.weights(self.encode(x))
