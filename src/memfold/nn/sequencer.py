"""Sequencer2D (Tatsunami & Taki 2022, arXiv 2205.01972): images by bidirectional LSTMs along rows and columns."""

from collections.abc import Sequence
from math import log2

import torch
from torch import Tensor, nn

from memfold.nn.options import checked_sizes
from memfold.nn.recurrent import LSTM

__all__ = ["BiLSTM2D", "Sequencer", "SequencerBlock"]


class BiLSTM2D(nn.Module):
    """A bidirectional LSTM along the columns of a map, another along its rows, and a linear layer on both outputs.

    In memory laid out as ``(H, B, W, C)`` all columns of a batch are evenly spaced, and so are all rows: the engine
    reads and writes both where they lie. In ``(B, H, W, C)`` the columns are not, and such a map is copied once;
    `Sequencer` keeps its maps in the former.

    Args:
        channels: C, of input and output.
        hidden_size: units of each direction.

    >>> BiLSTM2D(8, 4)(torch.zeros(2, 5, 7, 8)).shape
    torch.Size([2, 5, 7, 8])
    """

    def __init__(self, channels: int, hidden_size: int) -> None:
        super().__init__()
        self.columns = LSTM(channels, hidden_size, bidirectional=True)
        self.rows = LSTM(channels, hidden_size, bidirectional=True, batch_first=True)
        self.projection = nn.Linear(4 * hidden_size, channels)

    def forward(self, x: Tensor) -> Tensor:
        """A map ``(B, H, W, C)`` for one of the same shape, which lies in memory as ``(H, B, W, C)``."""
        x = x.transpose(0, 1).contiguous()  # (H, B, W, C)
        height, batch, width, _ = x.shape
        columns = self.columns(x.flatten(1, 2))[0]  # (H, B*W, 2h)
        rows = self.rows(x.flatten(0, 1))[0]  # (H*B, W, 2h)
        # One copy, which costs no more than two products, with halves of the matrix, and their sum.
        joined = torch.cat([columns.view(height, batch, width, -1), rows.view(height, batch, width, -1)], dim=-1)
        y: Tensor = self.projection(joined)
        return y.transpose(0, 1)


class SequencerBlock(nn.Module):
    """LSTMs that mix places, a perceptron that mixes channels, each on a normalised input and added to it.

    Args:
        channels: C.
        hidden_size: units of each direction of the LSTMs.
        mlp_ratio: hidden units of the perceptron, in multiples of C.
    """

    def __init__(self, channels: int, hidden_size: int, mlp_ratio: int = 3) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.lstm = BiLSTM2D(channels, hidden_size)
        self.mlp_norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, mlp_ratio * channels), nn.GELU(), nn.Linear(mlp_ratio * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map ``(B, H, W, C)`` for one of the same shape, which lies in memory as ``(H, B, W, C)``."""
        x = x.transpose(0, 1).contiguous()  # (H, B, W, C): the norms would copy another layout
        x = x + self.lstm(self.norm(x).transpose(0, 1)).transpose(0, 1)
        x = x + self.mlp(self.mlp_norm(x))
        return x.transpose(0, 1)


class Sequencer(nn.Module):
    """A backbone for images: a stem of convolutions, then stages of blocks, each of half the resolution before it.

    Args:
        in_channels: 1 of grey, 3 of colour images.
        stages: of each, its channels and its number of blocks.
        hidden_size: units of each direction of every LSTM.
        stem_stride: 1, 2, 4 or 8: pixels from one place of the first stage to the next.
        mlp_ratio: as :class:`SequencerBlock`.

    Attributes:
        out_channels: C' of the features.
        stride: pixels from one place of the features to the next.

    Raises:
        ValueError: a size below 1, another stem_stride, no stage.

    >>> backbone = Sequencer(1, [(16, 1), (32, 2)], hidden_size=16, stem_stride=2)
    >>> backbone(torch.zeros(2, 1, 28, 30)).shape, backbone.out_channels, backbone.stride
    (torch.Size([2, 32, 7, 8]), 32, 4)
    """

    def __init__(
        self,
        in_channels: int,
        stages: Sequence[tuple[int, int]],
        hidden_size: int,
        stem_stride: int = 4,
        mlp_ratio: int = 3,
    ) -> None:
        super().__init__()
        if stem_stride not in (1, 2, 4, 8):
            raise ValueError(f"stem_stride must be 1, 2, 4 or 8, got {stem_stride}")
        if not stages:
            raise ValueError("stages must have at least one (channels, blocks), got none")
        checked_sizes(in_channels=in_channels, hidden_size=hidden_size, mlp_ratio=mlp_ratio)
        for channels, blocks in stages:
            checked_sizes(channels=channels, blocks=blocks)
        first, before = stages[0][0], in_channels
        self.stem = nn.Sequential()
        halvings = round(log2(stem_stride))
        for k in range(halvings):
            channels = max(8, first >> (halvings - k))
            self.stem.append(_convolution(before, channels, 2))
            before = channels
        self.stem.append(_convolution(before, first, 1))
        self.stages, self.between = nn.ModuleList(), nn.ModuleList()
        for k, (channels, blocks) in enumerate(stages):
            self.between.append(_convolution(stages[k - 1][0], channels, 2) if k else nn.Identity())
            made = (SequencerBlock(channels, hidden_size, mlp_ratio) for _ in range(blocks))
            self.stages.append(nn.Sequential(*made))
        self.out_channels = stages[-1][0]
        self.norm = nn.LayerNorm(self.out_channels)
        self.stride = stem_stride * 2 ** (len(stages) - 1)

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(B, C', ceil(H / stride), ceil(W / stride))`` of images ``(B, C, H, W)``."""
        x: Tensor = self.stem(images)
        for between, stage in zip(self.between, self.stages, strict=True):
            # The first block lays its map out anew, and a convolution what it is given: a copy for each stage.
            x = stage(between(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # (B, C, H, W)
        features: Tensor = self.norm(x.permute(2, 0, 3, 1)).permute(1, 3, 0, 2)
        return features


def _convolution(channels: int, out: int, stride: int) -> nn.Sequential:
    """3 by 3, with zeros around the image: of N pixels ``ceil(N / stride)`` remain, also of an odd N."""
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(out), nn.GELU())
