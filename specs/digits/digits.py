"""A small convolutional network for 8x8 scans of handwritten digits."""

import torch
from torch import nn
from torch.nn import functional

SIDE = 8
BRIGHTEST = 16.0


class DigitNet(nn.Module):
    """Two convolutions and two dense layers. Takes pixels as they are in the file, 0 to 16."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.third = nn.Linear(32 * 4 * 4, 64)
        self.last = nn.Linear(64, classes)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Scores of the classes `(n, classes)` for pixels `(n, 64)`."""
        x = features.reshape(-1, 1, SIDE, SIDE) / BRIGHTEST
        x = functional.relu(self.first(x))
        x = functional.max_pool2d(functional.relu(self.second(x)), 2)
        x = functional.relu(self.third(x.flatten(1)))
        return self.last(x)


def train(data, run, epochs, lr):
    """Train on the train split, watch the eval split, and give the trained module to Fiat."""
    torch.manual_seed(run.seed)
    model = DigitNet(len(data.classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        model.train()
        losses = []
        for batch in data.train.batches(64, shuffle=run.seed + epoch):
            optimizer.zero_grad()
            loss = functional.cross_entropy(
                model(torch.from_numpy(batch.features)), torch.from_numpy(batch.codes)
            )
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        run.log(epoch, loss=sum(losses) / len(losses), eval_accuracy=_accuracy(model, data.eval))
    return model


def _accuracy(model, split):
    model.eval()
    with torch.no_grad():
        scores = model(torch.from_numpy(split.features))
    return (scores.argmax(1) == torch.from_numpy(split.codes)).float().mean().item()
