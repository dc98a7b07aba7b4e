"""Mass of whole tensors, taken through windows of single channels, single units and moves."""

import numpy as np

from .compiled import compiled
from .parallel import at_once, portion
from .windows import Geometry, _deltas, _look, _places


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

    at_once(part, 0, filters, high.size * len(weights))
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
            ended[explanation] += portion(asked, above)
            if has_low:
                asked = low[explanation, place, start:stop]
                ended[explanation] += portion(asked, below)
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
_MOST = 2**25  # numbers that these sums may take
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
    parts = max(1, min(_PARTS, units, _MOST // (explanations * features)))
    found = np.zeros((parts, explanations, features), np.float32)
    ended = np.zeros((parts, explanations))
    bounds = [units * n // parts for n in range(parts + 1)]
    order = np.argsort(image_index, kind="stable")

    def some(start: int, stop: int) -> None:
        for n in range(start, stop):
            _spread_units(
                high,
                low,
                image_index,
                order,
                source,
                weight_rows,
                *bounds[n : n + 2],
                found[n],
                ended[n],
            )

    masses = np.count_nonzero(high) + np.count_nonzero(low)
    at_once(some, 0, parts, masses * features)
    return found.sum(axis=0), ended.sum(axis=0)


@compiled
def _spread_units(high, low, image_index, order, source, weight_rows, first, last, found, ended):
    features, sides = weight_rows.shape[1], 2 if low.shape[0] else 1
    products, lanes = np.empty((sides, features), np.float32), np.empty(_LANES, np.float32)
    totals, is_made = np.zeros(sides, np.float32), np.zeros(sides, np.bool_)
    for unit in range(first, last):
        weights, image = weight_rows[unit], -1
        for explanation in order:
            if image_index[explanation] != image:
                image = image_index[explanation]
                is_made[:] = False
            for side in range(sides):
                mass = low[explanation, unit] if side else high[explanation, unit]
                if mass == 0:
                    continue
                own = products[side]
                if not is_made[side]:
                    # The same for all explanations of an image.
                    read, sign = source[image], np.float32(-1 if side else 1)
                    for j in range(features):
                        product = read[j] * weights[j] * sign
                        own[j] = product if product > 0 else np.float32(0)
                    totals[side], is_made[side] = _added(own, lanes), True
                total = totals[side]
                share = mass / total if total > 0 else np.float32(0)
                if not (0 < total < np.inf and abs(share) < np.inf):
                    ended[explanation] += mass if total < np.inf else np.nan
                    continue
                into = found[explanation]
                for j in range(features):
                    into[j] += own[j] * share


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

    at_once(part, 0, channels, mass.size * len(geometry.offsets))
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
