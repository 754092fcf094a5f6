"""``python train_skorch.py``: train `plain_network.Particles` on the charged benchmark by skorch's
own training loop, and leave its weights in the working directory."""

import sys

import numpy as np
import skorch
import torch
from plain_network import WEIGHTS, Particles
from skorch.callbacks import LRScheduler
from torch import Tensor, nn

from mcegnn.data.charged import charged


class Both(nn.Module):
    """The mean square of positions, and a little of velocities."""

    def forward(self, said: tuple[Tensor, Tensor], known: Tensor) -> Tensor:
        """Of predicted positions and velocities, and the known ones [n_systems, n, 6]."""
        x, v = known.split(3, -1)
        return (said[0] - x).square().mean() + 0.01 * (said[1] - v).square().mean()


class Network(skorch.NeuralNet):
    """Validation needs all of what the network says."""

    def get_loss(
        self, y_pred: tuple[Tensor, Tensor], y_true: Tensor, *_: object, **__: object
    ) -> Tensor:
        """As the criterion's, of both outputs."""
        found: Tensor = self.criterion_(y_pred, y_true)
        return found


def main(n_epochs: int) -> None:
    """Train with Adam and a cosine schedule on 3,000 samples, batches of 100."""
    torch.manual_seed(0)
    train = charged().train
    start = train.ensemble()
    inputs = {
        "x": np.asarray(start.positions, dtype=np.float32),
        "v": np.asarray(start.velocities, dtype=np.float32),
        "charges": np.asarray(start.charges, dtype=np.float32),
    }
    ends = [train[name].reshape(inputs["x"].shape) for name in ("positions", "velocities")]
    known = np.concatenate(ends, -1).astype(np.float32)
    net = Network(
        Particles,
        criterion=Both,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=n_epochs,
        batch_size=100,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[LRScheduler("CosineAnnealingLR", T_max=n_epochs)],
        verbose=0,
    )
    net.fit(inputs, known)
    torch.save(net.module_.state_dict(), WEIGHTS)
    print(
        f"skorch {skorch.__version__}, {n_epochs} epochs, loss {net.history[-1, 'train_loss']:.5f}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
