"""Mass of whole tensors, taken through weighted sums and windows.

Of a unit y = sum of W·A that is asked why it is high, what is above 0 among the products shares its
mass; of one that is asked why it is low, what is below. Split into what is above 0 and below, both
are matrix products with weights that are nowhere negative: one for the totals, one for the shares.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from .compiled import compiled, helpers, threads
from .windows import Geometry, _deltas, _look, _places

_AT_ONCE = 2**22  # numbers in the windows that are laid out together
_WORTH_A_THREAD = 2**17  # numbers, below which a second thread does not pay


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
        shares = []
        for place, mass in enumerate(asked):
            read, weights = rows, split[:, place * own : (place + 1) * own]
            if is_signed:
                read, weights = rows[..., place * own : (place + 2) * own], split
            by_group = mass.reshape(windows, groups, filters)[first:last]
            portions, lost = _portions_of(by_group, read, weights)
            ended[first:last] += lost
            shares.append(_times_transposed(f"shares {place}", portions, weights))
        _take_in(shares, source, image_index, geometry, is_signed, first, last, found)
    of = np.arange(windows) // places
    return found.reshape(explanations, -1), np.bincount(of, ended, explanations)


def _portions_of(mass, rows, weights):
    """(groups, windows, filters), what each product is to be multiplied with; and what ends."""
    groups, windows, filters = len(rows), rows.shape[1], weights.shape[2]
    total = _scratch("total", (groups, windows, filters))

    def part(start: int, stop: int) -> np.ndarray:
        np.matmul(rows, weights[..., start:stop], out=total[..., start:stop])
        return _portions(mass, total, start, stop)

    return total, sum(_at_once(part, 0, filters, windows * weights.size))


def _times_transposed(name, portions, weights):
    """(groups, windows, products): what each product's share of the mass is divided by."""
    products = weights.shape[1]
    made = _scratch(name, (*portions.shape[:2], products))

    def part(start: int, stop: int) -> None:
        own = weights[:, start:stop].transpose(0, 2, 1)
        np.matmul(portions, own, out=made[..., start:stop])

    _at_once(part, 0, products, portions.shape[1] * weights.size)
    return made


def _laid_out(source, image_index, geometry, groups, copies, first, last):
    """(groups, windows, copies · taps · C): what windows read; of several copies the first is what
    is above 0, the second what is below, the third the first."""
    taps, (_, inputs, channels) = len(geometry.offsets), source.shape
    is_each = taps == 1 and inputs == _places(geometry) and not geometry.offsets.any()
    if is_each and groups == copies == 1 and is_in_order(image_index, len(source)):
        return source.reshape(1, -1, channels)[:, first:last]
    rows = _scratch("rows", (groups, last - first, copies * taps * (channels // groups)))

    def part(start: int, stop: int) -> None:
        into = rows[:, start - first : stop - first]
        _lay_out(source, image_index, geometry, copies, start, stop, into)

    _at_once(part, first, last, rows.size)
    return rows


def _scratch(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Memory of this thread's for numbers that are soon forgotten.

    Of the system it would be had anew each time, which takes as long as filling it.
    """
    held: dict[str, np.ndarray] = _OWN.__dict__.setdefault("held", {})
    size = math.prod(shape)
    if name not in held or held[name].size < size:
        held[name] = np.empty(size, np.float32)
    return held[name][:size].reshape(shape)


_OWN = threading.local()


@contextmanager
def own_threads() -> Iterator[None]:
    """Keeps NumPy from sharing out matrix products: here each thread makes products of its own.

    Threads of BLAS wait for the next product busily, on the CPUs that TensorFlow and we need.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def is_in_order(image_index: np.ndarray, images: int) -> bool:
    """Whether there is one explanation for each image, in their order."""
    return len(image_index) == images and bool((np.diff(image_index, prepend=-1) == 1).all())


def _at_once(part: Callable[[int, int], Any], first: int, last: int, numbers: int) -> list[Any]:
    """Runs a kernel on parts of a range that do not touch each other, by threads if that pays.

    Returns:
        What it returned for each part, in their order.
    """
    parts = max(1, min(threads(), last - first, numbers // _WORTH_A_THREAD))
    bounds = [first + (last - first) * n // parts for n in range(parts + 1)]
    others = [helpers().submit(part, *bounds[n : n + 2]) for n in range(1, parts)]
    return [part(*bounds[:2]), *(other.result() for other in others)]


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
                    made[2 * own + at : 2 * own + at + width] = above


@compiled
def _portions(mass, total, start, stop):
    ended = np.zeros(total.shape[1])
    for group in range(total.shape[0]):
        for window in range(total.shape[1]):
            own = total[group, window, start:stop]
            ended[window] += _portion(mass[window, group, start:stop], own)
    return ended


@compiled
def _portion(asked, total):
    """Makes of totals the mass to be multiplied with each product; returns the mass that ends.

    That is what nothing contributes to, or so little that its share is no number.
    """
    unsplit = np.int32(0)
    for f in range(total.size):
        is_split = (total[f] > 0) & (total[f] < np.inf) & (abs(asked[f] / total[f]) < np.inf)
        unsplit = np.int32(unsplit | np.int32((asked[f] != 0) & (not is_split)))
    lost = np.float64(0)
    if unsplit:
        for f in range(total.size):
            is_split = total[f] > 0 and abs(asked[f] / total[f]) < np.inf
            if asked[f] != 0 and not total[f] < np.inf:
                lost = np.nan
            elif not is_split:
                lost += asked[f]
                total[f] = 0
    for f in range(total.size):
        total[f] = asked[f] / total[f] if total[f] > 0 else np.float32(0)
    return lost


def _take_in(shares, source, image_index, geometry, is_signed, first, last, found):
    """Adds up what windows give to each input."""
    high = shares[0]
    low = shares[1] if len(shares) > 1 else high[:, :0]

    def part(start: int, stop: int) -> None:
        _take_in_channels(
            high, low, source, image_index, geometry, is_signed, first, start, stop, found
        )

    _at_once(part, 0, source.shape[2], high.size)


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


def through_channels(
    high: np.ndarray,
    low: np.ndarray,
    image_index: np.ndarray,
    source: np.ndarray,
    weights: np.ndarray,
    geometry: Geometry,
) -> tuple[np.ndarray, np.ndarray]:
    """Spreads mass over windows that have one channel: depthwise convolution, average pooling.

    Args:
        high, low, image_index, source, geometry: As for `through_windows`.
        weights: (taps, filters) float32, filters in the order of channels.

    Returns:
        As `through_windows`.
    """
    (_, inputs, channels), filters = source.shape, weights.shape[1]
    if filters > channels:
        source = np.repeat(source, filters // channels, axis=2)
    explanations = len(image_index)
    found = np.zeros((explanations, inputs, filters), np.float32)
    ended = np.zeros((filters, explanations))
    shape = explanations, -1, filters
    asked = high.reshape(shape), low.reshape(len(low), -1 if len(low) else 1, filters)

    def part(start: int, stop: int) -> None:
        _spread_channels(
            *asked, image_index, source, weights, geometry, start, stop, found, ended[start]
        )

    _at_once(part, 0, filters, high.size * len(weights))
    if filters > channels:
        found = found.reshape(explanations, inputs, channels, -1).sum(axis=3)
    return found.reshape(explanations, -1), ended.sum(axis=0)


@compiled
def _spread_channels(high, low, image_index, source, weights, geometry, start, stop, found, ended):
    taps, places, has_low = weights.shape[0], _places(geometry), low.shape[0] > 0
    rows, deltas, width = np.empty(taps, np.int64), _deltas(geometry), stop - start
    above, below = np.empty(width, np.float32), np.empty(width, np.float32)
    for explanation in range(image_index.size):
        inputs = source[image_index[explanation]]
        for place in range(places):
            _look(place, geometry, deltas, rows)
            above[:] = 0
            below[:] = 0
            for tap in range(taps):
                if rows[tap] < 0:
                    continue
                read, factors = inputs[rows[tap], start:stop], weights[tap, start:stop]
                for c in range(width):
                    product = read[c] * factors[c]
                    above[c] += product if product > 0 else np.float32(0)
                    below[c] -= product if product < 0 else np.float32(0)
            asked = high[explanation, place, start:stop]
            ended[explanation] += _portion(asked, above)
            if has_low:
                asked = low[explanation, place, start:stop]
                ended[explanation] += _portion(asked, below)
            else:
                below[:] = 0
            for tap in range(taps):
                if rows[tap] < 0:
                    continue
                read, factors = inputs[rows[tap], start:stop], weights[tap, start:stop]
                into = found[explanation, rows[tap], start:stop]
                for c in range(width):
                    product = read[c] * factors[c]
                    into[c] += product * (above[c] if product > 0 else -below[c])


_PARTS = 16  # of a Dense layer's units; sums are the same whoever adds them up
_LANES = 64  # sums that are made beside each other


def through_units(
    high: np.ndarray,
    low: np.ndarray,
    image_index: np.ndarray,
    source: np.ndarray,
    weight_rows: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Spreads mass over all inputs of a Dense layer, each unit's alone: most units have none.

    Args:
        high, low, image_index: As for `through_windows`.
        source: (N, features) float32, what the layer read.
        weight_rows: (units, features) float32.

    Returns:
        As `through_windows`.
    """
    explanations, (units, features) = len(image_index), weight_rows.shape
    parts = min(_PARTS, units)
    found = np.zeros((parts, explanations, features), np.float32)
    ended = np.zeros((parts, explanations))
    bounds = [units * n // parts for n in range(parts + 1)]

    def some(start: int, stop: int) -> None:
        for n in range(start, stop):
            _spread_units(
                high, low, image_index, source, weight_rows, *bounds[n : n + 2], found[n], ended[n]
            )

    masses = np.count_nonzero(high) + np.count_nonzero(low)
    _at_once(some, 0, parts, masses * features)
    return found.sum(axis=0), ended.sum(axis=0)


@compiled
def _spread_units(high, low, image_index, source, weight_rows, first, last, found, ended):
    features, has_low = weight_rows.shape[1], low.shape[0] > 0
    products, lanes = np.empty(features, np.float32), np.empty(_LANES, np.float32)
    for unit in range(first, last):
        weights = weight_rows[unit]
        for explanation in range(image_index.size):
            for side in range(2 if has_low else 1):
                mass = low[explanation, unit] if side else high[explanation, unit]
                if mass == 0:
                    continue
                read, sign = source[image_index[explanation]], np.float32(-1 if side else 1)
                for j in range(features):
                    product = read[j] * weights[j] * sign
                    products[j] = product if product > 0 else np.float32(0)
                total = _added(products, lanes)
                share = mass / total if total > 0 else np.float32(0)
                if not (0 < total < np.inf and abs(share) < np.inf):
                    ended[explanation] += mass if total < np.inf else np.nan
                    continue
                into = found[explanation]
                for j in range(features):
                    into[j] += products[j] * share


@compiled
def _added(values, lanes):
    """The sum, in an order that is the same on every machine."""
    lanes[:] = 0
    whole = values.size // _LANES * _LANES
    for first in range(0, whole, _LANES):
        few = values[first : first + _LANES]
        for lane in range(_LANES):
            lanes[lane] += few[lane]
    for j in range(whole, values.size):
        lanes[j - whole] += values[j]
    total = np.float32(0)
    for lane in range(_LANES):
        total += lanes[lane]
    return total


def through_maximum(
    mass: np.ndarray, image_index: np.ndarray, source: np.ndarray, geometry: Geometry
) -> np.ndarray:
    """Algorithm 3 for all units: each window's mass goes to its largest value, the first of equals.

    Args:
        mass: (E, windows · channels) float32; may be without rows.
        image_index, source, geometry: As for `through_windows`.

    Returns:
        (E, inputs · channels) float32.
    """
    channels = source.shape[2]
    found = np.zeros((len(mass), *source.shape[1:]), np.float32)
    asked = mass.reshape(len(mass), -1 if len(mass) else 1, channels)

    def part(start: int, stop: int) -> None:
        _spread_maximum(asked, image_index, source, geometry, start, stop, found)

    _at_once(part, 0, channels, mass.size * len(geometry.offsets))
    return found.reshape(len(mass), source[0].size)


@compiled
def _spread_maximum(mass, image_index, source, geometry, start, stop, found):
    taps, places, width = geometry.offsets.shape[0], _places(geometry), stop - start
    rows, deltas = np.empty(taps, np.int64), _deltas(geometry)
    winner, largest = np.empty(width, np.int64), np.empty(width, np.float32)
    for explanation in range(mass.shape[0]):
        inputs = source[image_index[explanation]]
        for place in range(places):
            _look(place, geometry, deltas, rows)
            winner[:] = -1
            for tap in range(taps):
                if rows[tap] < 0:
                    continue
                read = inputs[rows[tap], start:stop]
                for c in range(width):
                    if winner[c] < 0 or read[c] > largest[c]:
                        winner[c], largest[c] = rows[tap], read[c]
            asked = mass[explanation, place, start:stop]
            for c in range(width):
                if winner[c] >= 0:
                    found[explanation, winner[c], start + c] += asked[c]


@compiled
def moved_back(mass, came_from, units):
    """Mass where its units came from.

    Args:
        mass: (E, M) float32.
        came_from: (M,) int32, below 0 for nowhere.
        units: How many there are.

    Returns:
        (E, units) float32, and the (E,) float64 mass that came from nowhere.
    """
    found, ended = np.zeros((mass.shape[0], units), np.float32), np.zeros(mass.shape[0])
    for explanation in range(mass.shape[0]):
        own, into = mass[explanation], found[explanation]
        for m in range(came_from.size):
            if came_from[m] < 0:
                ended[explanation] += own[m]
            else:
                into[came_from[m]] += own[m]
    return found, ended


@compiled
def by_sign(mass, image_index, source):
    """Mass of units above 0 and of units below.

    Args:
        mass: (E, units) float32.
        image_index: (E,) int64, which row of the batch each explanation is about.
        source: (N, units) float32, their values.

    Returns:
        Both (E, units) float32.
    """
    high, low = np.empty_like(mass), np.empty_like(mass)
    for explanation in range(mass.shape[0]):
        values, own = source[image_index[explanation]], mass[explanation]
        above, below = high[explanation], low[explanation]
        for j in range(values.size):
            above[j] = own[j] if values[j] > 0 else np.float32(0)
            below[j] = own[j] if values[j] < 0 else np.float32(0)
    return high, low


@compiled
def kept_at_places(high, low):
    """Where more of a place's mass is above 0 than below what is left, in the units above 0.

    Args:
        high, low: (E, places, channels) float32; `low` may be without rows.

    Returns:
        Both.
    """
    kept_high, kept_low = np.zeros_like(high), np.zeros_like(low)
    for explanation in range(high.shape[0]):
        for place in range(high.shape[1]):
            left, above = np.float32(0), np.float32(0)
            for sides in (high, low):
                if sides.shape[0]:
                    for mass in sides[explanation, place]:
                        left += mass
                        above += max(mass, np.float32(0))
            # What is no number is to be found out.
            if left <= 0:
                continue
            share = left / above
            for sides, kept in ((high, kept_high), (low, kept_low)):
                if sides.shape[0]:
                    own, into = sides[explanation, place], kept[explanation, place]
                    for c in range(own.size):
                        into[c] = share * max(own[c], np.float32(0))
    return kept_high, kept_low
