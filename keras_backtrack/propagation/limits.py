"""How many contributions the best paths follow."""

from typing import NamedTuple


class Limits(NamedTuple):
    """How many contributions are kept where; None keeps all.

    Attributes:
        top_n: Units of a Dense layer's or an average pooling's input.
        channels: Channels of a convolution's input.
        positions: Positions in each of them, or in a depthwise window.
        include_bias: Adds the bias to every product, as Algorithms 1 and 2 print it.
    """

    top_n: int | None
    channels: int | None
    positions: int | None
    include_bias: bool


NO_LIMITS = Limits(None, None, None, False)
