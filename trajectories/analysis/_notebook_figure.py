"""A matplotlib figure that notebooks display by themselves."""

import io

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure of its own, not pyplot's: no global state and no screen."""

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        self.savefig(image, format="png", dpi=100)
        return image.getvalue()
