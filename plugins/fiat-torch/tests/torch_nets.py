"""Modules for tests; in a module of their own, since saved models find their classes by name."""

from typing import NamedTuple

import torch
from torch import nn


class Image(nn.Module):
    """A small convolutional net on raw bytes `(n, 8, 8)`, with layers that differ between training and use."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(4 * 16, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.first(image.unsqueeze(1).float() / 255))
        x = nn.functional.max_pool2d(x.relu(), 2)
        return self.last(self.drop(x.flatten(1)))


class Columns(nn.Module):
    """Takes its inputs by name, in another order than the data has them."""

    def forward(self, b: torch.Tensor, a: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = torch.cat([a, 10 * b], 1)
        return {"scores": scores, "label": scores.argmax(1)}


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found, _ = self.cells(x.reshape(-1, 2, 4))
        return found[:, -1], found.mean(1)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(x.reshape(-1, 2, 4)).mean(1)
        return found


class Words(nn.Module):
    """Takes whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.table(ids).mean(1)
        return found


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


class Named(nn.Module):
    def forward(self, *inputs: torch.Tensor) -> Pair:
        return Pair(inputs[0] + 1, inputs[-1] - 1)


class ByValue(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x * 2
        return x


class ByNumber(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        width = int(x.max())
        return x[:, :width]


class ByRows(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] > 3:
            return x * 2
        return x


class FixedRows(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(4, -1)


class NoOperator(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.i0e(x)


class ThroughNumpy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.numpy() * 2)


class Returns(nn.Module):
    """Returns what it is told to."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: torch.Tensor) -> object:
        return {
            "nothing": None,
            "number": 3,
            "empty": (),
            "nested": (x, [x]),
            "bfloat16": x.bfloat16(),
        }[self.what]
