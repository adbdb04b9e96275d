"""A small convolutional network for Fashion-MNIST."""

import torch
from torch import nn
from torch.nn import functional

MEAN_BRIGHTNESS = 0.286
LOG_EVERY = 20


class FashionNet(nn.Module):
    """Two convolutions and two dense layers. Takes raw pixels, so that what is served needs no preparation."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.third = nn.Linear(32 * 7 * 7, 128)
        self.last = nn.Linear(128, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores of the classes `(n, classes)` for uint8 images `(n, 28, 28)`."""
        x = image.unsqueeze(1).float() / 255 - MEAN_BRIGHTNESS
        x = functional.max_pool2d(functional.relu(self.first(x)), 2)
        x = functional.max_pool2d(functional.relu(self.second(x)), 2)
        x = functional.relu(self.third(x.flatten(1)))
        return self.last(x)


def train(data, run, epochs, lr, batch_size):
    """Adam with a learning rate that rises and falls once: gets far in few epochs, and goes on where it was killed."""
    net = FashionNet(len(data.classes))
    model = run.parallel(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr / 4)
    n_batches = -(-len(data.train) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * n_batches)
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
    first = 0
    if saved := run.restore():
        first = saved.step + 1
        for name, part in parts.items():
            part.load_state_dict(saved.state[name])
    for epoch in range(first, epochs):
        for seen, batch in enumerate(
            data.train.batches(batch_size, shuffle=run.seed + epoch), epoch * n_batches
        ):
            optimizer.zero_grad()
            scores = model(torch.from_numpy(batch.features).to(run.device))
            labels = torch.from_numpy(batch.codes).to(run.device)
            loss = functional.cross_entropy(scores, labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            if seen % LOG_EVERY == 0:
                run.log(seen, loss=loss.item(), batch_accuracy=_share_right(scores, labels))
        if len(data.eval):
            run.log((epoch + 1) * n_batches, eval_accuracy=_accuracy(net, data.eval, run.device))
        run.checkpoint(lambda: {name: part.state_dict() for name, part in parts.items()}, step=epoch)
        print(f"epoch {epoch + 1} of {epochs}", flush=True)
    return net


def _accuracy(net, split, device) -> float:
    """The share of a whole split that it gets right; workers look at a part of each batch."""
    right = total = 0
    with torch.inference_mode():
        for batch in split.batches(1024):
            scores = net(torch.from_numpy(batch.features).to(device))
            right += (scores.argmax(1) == torch.from_numpy(batch.codes).to(device)).sum().item()
            total += len(batch)
    return right / total


def _share_right(scores: torch.Tensor, labels: torch.Tensor) -> float:
    return (scores.argmax(1) == labels).float().mean().item()
