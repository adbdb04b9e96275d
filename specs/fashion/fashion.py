"""A small convolutional network for Fashion-MNIST."""

import torch
from torch import nn
from torch.nn import functional

MEAN_BRIGHTNESS = 0.286


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
    """Adam with a learning rate that rises and falls once: gets far in few epochs."""
    torch.manual_seed(run.seed)
    model = FashionNet(len(data.classes))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr / 4)
    n_batches = -(-len(data.train) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * n_batches)
    seen = 0
    for epoch in range(epochs):
        for batch in data.train.batches(batch_size, shuffle=run.seed + epoch):
            optimizer.zero_grad()
            scores = model(torch.from_numpy(batch.features))
            labels = torch.from_numpy(batch.codes)
            loss = functional.cross_entropy(scores, labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            if seen % 100 == 0:
                accuracy = (scores.argmax(1) == labels).float().mean()
                run.log(seen, loss=loss.item(), batch_accuracy=accuracy.item())
            seen += 1
        print(f"epoch {epoch + 1} of {epochs}", flush=True)
    return model
