"""Mass of whole tensors, taken through weighted sums and windows.

Of a unit y = sum of W·A that is asked why it is high, what is above 0 among the products shares its
mass; of one that is asked why it is low, what is below. Split into what is above 0 and below, both
are matrix products with weights that are nowhere negative: one for the totals, one for the shares.
"""

import numpy as np

from .compiled import compiled
from .parallel import at_once, is_in_order, portion, scratch
from .windows import Geometry, _deltas, _look, _places

_AT_ONCE = 2**22  # numbers in the windows that are laid out together
_GRAIN = 64  # filters; of fewer BLAS may add products up in another order


def through_windows(
    high: np.ndarray,
    low: np.ndarray,
    image_index: np.ndarray,
    source: np.ndarray,
    split: np.ndarray,
    geometry: Geometry,
    is_signed: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Spreads mass over all products of a convolution.

    Args:
        high, low: (E, windows · filters) float32, the mass of units that are asked why they are
            high and why they are low; `low` may be without rows.
        image_index: (E,) int64, which row of the batch each explanation is about.
        source: (N, inputs, channels) float32, what the layer read.
        split: (groups, 2 · taps · C, filters of a group) float32: of the weights what is above 0,
            and behind it what is below, both nowhere negative.
        geometry: The windows.
        is_signed: Whether any of `source` is below 0.

    Returns:
        (E, inputs · channels) float32, what arrives at the input; and the (E,) float64 mass of
        units that nothing contributes to, NaN where products overflow.
    """
    (groups, own, filters), explanations = split.shape, len(image_index)
    own, places = own // 2, int(_places(geometry))
    asked = [high, low] if len(low) else [high]
    copies = 1 + len(asked) if is_signed else 1
    found = np.zeros((explanations, *source.shape[1:]), np.float32)
    windows = explanations * places
    ended = np.zeros(windows)
    step = max(1, _AT_ONCE // (groups * copies * own))
    for first in range(0, windows, step):
        last = min(first + step, windows)
        rows = _laid_out(source, image_index, geometry, groups, copies, first, last)
        pairs = []
        for place in range(len(asked)):
            read, weights = rows, split[:, place * own : (place + 1) * own]
            if is_signed:
                read, weights = rows[..., place * own : (place + 2) * own], split
            pairs.append((read, weights))
        masses = [mass.reshape(windows, groups, filters)[first:last] for mass in asked]
        portions, lost = _portions_of(masses, pairs)
        ended[first:last] = lost
        shares = _times_transposed(portions, [weights for _, weights in pairs])
        _take_in(shares, source, image_index, geometry, is_signed, first, last, found)
    of = np.arange(windows) // places
    return found.reshape(explanations, -1), np.bincount(of, ended, explanations)


def _portions_of(masses, pairs):
    """Of each mass (groups, windows, filters), what products are to be multiplied with.

    Args:
        masses: (windows, groups, filters), each.
        pairs: For each what windows read, (groups, windows, products), and its weights.

    Returns:
        Those, and the (windows,) mass that ends.
    """
    windows, groups, filters = masses[0].shape
    totals = [scratch(f"total {n}", (groups, windows, filters)) for n in range(len(masses))]

    def part(start: int, stop: int) -> np.ndarray:
        ended = np.zeros(windows)
        for mass, (rows, weights), total in zip(masses, pairs, totals, strict=True):
            np.matmul(rows, weights[..., start:stop], out=total[..., start:stop])
            ended += _portions(mass, total, start, stop)
        return ended

    return totals, sum(at_once(part, 0, filters, windows * pairs[0][1].size, _GRAIN))


def _times_transposed(portions, weights):
    """(groups, windows, products), each: what each product gets for each unit of itself."""
    groups, windows, _ = portions[0].shape
    products = weights[0].shape[1]
    made = [scratch(f"share {n}", (groups, windows, products)) for n in range(len(portions))]

    def part(start: int, stop: int) -> None:
        for mass, own, into in zip(portions, weights, made, strict=True):
            transposed = own[:, start:stop].transpose(0, 2, 1)
            np.matmul(mass, transposed, out=into[..., start:stop])

    at_once(part, 0, products, windows * weights[0].size, _GRAIN)
    return made


def _laid_out(source, image_index, geometry, groups, copies, first, last):
    """(groups, windows, copies · taps · C): what windows read; of several copies the first is what
    is above 0, the second what is below, the third the first."""
    taps, (_, inputs, channels) = len(geometry.offsets), source.shape
    is_each = taps == 1 and inputs == _places(geometry) and not geometry.offsets.any()
    if is_each and groups == copies == 1 and is_in_order(image_index, len(source)):
        return source.reshape(1, -1, channels)[:, first:last]
    rows = scratch("rows", (groups, last - first, copies * taps * (channels // groups)))

    def part(start: int, stop: int) -> None:
        into = rows[:, start - first : stop - first]
        _lay_out(source, image_index, geometry, copies, start, stop, into)

    at_once(part, first, last, rows.size)
    return rows


@compiled
def _lay_out(source, image_index, geometry, copies, first, last, into):
    groups, taps, places = into.shape[0], geometry.offsets.shape[0], _places(geometry)
    width = source.shape[2] // groups
    rows, deltas, own = np.empty(taps, np.int64), _deltas(geometry), taps * width
    for window in range(first, last):
        _look(window % places, geometry, deltas, rows)
        inputs = source[image_index[window // places]]
        for group in range(groups):
            made = into[group, window - first]
            for tap in range(taps):
                at = tap * width
                if rows[tap] < 0:
                    for copy in range(copies):
                        made[copy * own + at : copy * own + at + width] = 0
                    continue
                read = inputs[rows[tap], group * width : (group + 1) * width]
                above = made[at : at + width]
                if copies == 1:
                    for c in range(width):
                        above[c] = read[c]
                    continue
                below = made[own + at : own + at + width]
                for c in range(width):
                    above[c] = read[c] if read[c] > 0 else np.float32(0)
                    below[c] = -read[c] if read[c] < 0 else np.float32(0)
                if copies == 3:
                    again = made[2 * own + at : 2 * own + at + width]
                    # An assignment of arrays takes seconds to compile.
                    for c in range(width):
                        again[c] = above[c]


@compiled
def _portions(mass, total, start, stop):
    ended = np.zeros(total.shape[1])
    for group in range(total.shape[0]):
        for window in range(total.shape[1]):
            own = total[group, window, start:stop]
            ended[window] += portion(mass[window, group, start:stop], own)
    return ended


def _take_in(shares, source, image_index, geometry, is_signed, first, last, found):
    """Adds up what windows give to each input."""
    high = shares[0]
    low = shares[1] if len(shares) > 1 else high[:, :0]

    def part(start: int, stop: int) -> None:
        _take_in_channels(
            high, low, source, image_index, geometry, is_signed, first, start, stop, found
        )

    at_once(part, 0, source.shape[2], high.size)


@compiled
def _take_in_channels(
    high, low, source, image_index, geometry, is_signed, first, start, stop, found
):
    groups, windows, _ = high.shape
    taps, places = geometry.offsets.shape[0], _places(geometry)
    width, has_low = source.shape[2] // groups, low.shape[1] > 0
    rows, deltas, own = np.empty(taps, np.int64), _deltas(geometry), taps * width
    for window in range(first, first + windows):
        _look(window % places, geometry, deltas, rows)
        explanation = window // places
        inputs, arrived = source[image_index[explanation]], found[explanation]
        for group in range(start // width, (stop + width - 1) // width):
            low_end, high_end = max(start, group * width), min(stop, (group + 1) * width)
            shares = high[group, window - first]
            others = low[group, window - first] if has_low else shares
            for tap in range(taps):
                if rows[tap] < 0:
                    continue
                read, into = (
                    inputs[rows[tap], low_end:high_end],
                    arrived[rows[tap], low_end:high_end],
                )
                at = tap * width + low_end - group * width
                up = shares[at : at + read.size]
                if is_signed:
                    down = shares[own + at : own + at + read.size]
                    if has_low:
                        for c in range(read.size):
                            by = (
                                up[c] + others[own + at + c]
                                if read[c] > 0
                                else -down[c] - others[at + c]
                            )
                            into[c] += read[c] * by
                    else:
                        for c in range(read.size):
                            into[c] += read[c] * (up[c] if read[c] > 0 else -down[c])
                elif has_low:
                    for c in range(read.size):
                        into[c] += read[c] * (up[c] + others[at + c])
                else:
                    for c in range(read.size):
                        into[c] += read[c] * up[c]
