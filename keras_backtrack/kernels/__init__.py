"""The heavy computations of a walk, compiled with XLA where that pays."""

from .calls import collect, cut, padded
from .convolution import window_sums
from .dense import DenseNodes, all_products, best_products

__all__ = ["DenseNodes", "all_products", "best_products", "collect", "cut", "padded", "window_sums"]
