"""A small convolutional network that tells people by their faces, from five images of each."""

import torch
from torch import nn
from torch.nn import functional

CHANNELS = 24
SMALLER = 4
MOST_TURN, MOST_SHIFT, MOST_SCALE = 0.12, 0.1, 0.1


class FaceNet(nn.Module):
    """Three convolutions and one dense layer. Takes raw pixels, and evens out brightness and contrast by itself."""

    def __init__(self, people: int) -> None:
        super().__init__()
        self.first = _block(1, CHANNELS)
        self.second = _block(CHANNELS, 2 * CHANNELS)
        self.third = _block(2 * CHANNELS, 2 * CHANNELS)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(2 * CHANNELS * 7 * 5, people)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores of the people `(n, people)` for grey images `(n, 112, 92)`, 0 to 255."""
        x = functional.avg_pool2d(image.unsqueeze(1).float(), SMALLER)
        mean = x.mean((2, 3), keepdim=True)
        spread = (x - mean).square().mean((2, 3), keepdim=True).sqrt()
        x = (x - mean) / (spread + 1)
        x = functional.max_pool2d(self.first(x), 2)
        x = functional.max_pool2d(self.second(x), 2)
        x = self.third(x)
        return self.last(self.drop(x.flatten(1)))


def _block(before: int, behind: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, behind, 3, padding=1), nn.BatchNorm2d(behind), nn.ReLU())


def train(data, run, epochs, lr, batch_size):
    """Train on images that are turned, moved, scaled and mirrored a little, each time otherwise."""
    net = FaceNet(len(data.classes))
    model = run.parallel(net)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=1e-2)
    n_batches = -(-len(data.train) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * n_batches)
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
    first = 0
    if saved := run.restore():
        first = saved.step + 1
        for name, part in parts.items():
            part.load_state_dict(saved.state[name])
    for epoch in range(first, epochs):
        model.train()
        losses = []
        for batch in data.train.batches(batch_size, shuffle=run.seed + epoch):
            images = torch.from_numpy(batch.features).float().to(run.device)
            people = torch.from_numpy(batch.codes).to(run.device)
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(_moved(images)), people, label_smoothing=0.1)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        run.log(epoch, loss=sum(losses) / len(losses))
        run.checkpoint(lambda: {name: part.state_dict() for name, part in parts.items()}, step=epoch)
    return net


def _moved(images: torch.Tensor) -> torch.Tensor:
    """Each image `(n, height, width)` seen a little otherwise."""
    n, height, width = images.shape
    draw = torch.rand(n, 5, device=images.device) * 2 - 1
    turn, scale = draw[:, 0] * MOST_TURN, 1 + draw[:, 1] * MOST_SCALE
    mirrored = draw[:, 4].sign()
    across = torch.stack([turn.cos() * scale * mirrored, turn.sin() * mirrored, draw[:, 2] * MOST_SHIFT], 1)
    down = torch.stack([-turn.sin(), turn.cos() * scale, draw[:, 3] * MOST_SHIFT], 1)
    places = functional.affine_grid(
        torch.stack([across, down], 1), [n, 1, height, width], align_corners=False
    )
    seen = functional.grid_sample(images.unsqueeze(1), places, padding_mode="border", align_corners=False)
    return seen.squeeze(1)
