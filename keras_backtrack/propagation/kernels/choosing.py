"""Choosing the best of some contributions."""

import numpy as np

from .compiled import compiled

_INFINITE = np.int32(0x7F800000)
_GLANCE = 64  # values that are compared together
_NONE = np.int64(0)  # A literal would be a type of its own, and compiled for.
FEW = 32  # Up to so many are chosen by putting each in its place among those that were.


@compiled
def choose(values, limit, place, kept):
    """The largest positive values.

    Args:
        values: (G,) float32.
        limit: How many are chosen at most. The best come first, and of equal ones the first; where
            all may be chosen they stay in their order.
        place: (limit,) int64, to be filled with where they are.
        kept: (limit,) float32, to be filled with what they are.

    Returns:
        How many there are. Where a value is no number, neither is what is kept: whoever adds the
        mass up finds out.
    """
    count = 0
    if limit >= values.size:
        for j in range(values.size):
            if not values[j] <= 0:
                place[count], kept[count] = j, values[j]
                count += 1
        return count
    if limit == 1:
        wanted, are_numbers = _largest(values)
        if not are_numbers:
            return choose_more(values, _NONE, limit, place, kept, _NONE)
        place[0] = _first(values, wanted)
        kept[0] = values[place[0]]
        return 1 if kept[0] > 0 else 0
    if limit > FEW and _largest(values)[1]:
        return _choose_many(values, limit, place, kept)
    return choose_more(values, _NONE, limit, place, kept, _NONE)


@compiled
def _choose_many(values, limit, place, kept):
    """As `choose`, of numbers, where putting each in its place would take as long as many are.

    Those chosen are a heap with the worst of them on top, which comes to the end in the end.
    """
    count, bar = 0, np.float32(0)
    for j in range(values.size):
        if values[j] <= bar:
            continue
        if count < limit:
            place[count], kept[count] = j, values[j]
            count += 1
            if count == limit:
                _heap(place, kept, count)
        else:
            place[0], kept[0] = j, values[j]
            _sink(place, kept, _NONE, count)
        if count == limit:
            bar = kept[0]
    if count < limit:
        _heap(place, kept, count)
    for last in range(count - 1, 0, -1):
        place[0], place[last] = place[last], place[0]
        kept[0], kept[last] = kept[last], kept[0]
        _sink(place, kept, _NONE, last)
    return count


@compiled
def _heap(place, kept, count):
    for top in range(count // 2 - 1, -1, -1):
        _sink(place, kept, top, count)


@compiled
def _sink(place, kept, top, count):
    """Lets what is on top of part of a heap sink below all that are worse; of equals the later."""
    while 2 * top + 1 < count:
        worst = top
        for below in range(2 * top + 1, min(2 * top + 3, count)):
            if kept[below] < kept[worst] or (
                kept[below] == kept[worst] and place[below] > place[worst]
            ):
                worst = below
        if worst == top:
            return
        place[top], place[worst] = place[worst], place[top]
        kept[top], kept[worst] = kept[worst], kept[top]
        top = worst


@compiled
def _largest(values):
    """The largest of some numbers and 0, as an integer of its bits; and whether all are numbers."""
    # Floats above 0 are in the same order as the integers of the same bits, those below 0 are
    # integers below 0; and of integers alone compilers know that the order does not matter.
    best, most = np.int32(0), np.int32(0)
    bits = values.view(np.int32)
    for j in range(bits.size):
        best = bits[j] if bits[j] > best else best
        # What is no number has the largest bits of all, but for its sign.
        size = np.int32(bits[j] & np.int32(0x7FFFFFFF))
        most = size if size > most else most
    return best, most <= _INFINITE


@compiled
def _first(values, wanted):
    """Where the first of the numbers with these bits is."""
    bits = values.view(np.int32)
    for first in range(0, bits.size, _GLANCE):
        few = bits[first : first + _GLANCE]
        found = np.int32(0)
        for j in range(few.size):
            found = np.int32(found | np.int32(few[j] == wanted))
        if found:
            for j in range(few.size):
                if few[j] == wanted:
                    return first + j
    return 0


@compiled
def choose_more(values, start, limit, place, kept, count):
    """Goes on choosing, among the values from place `start` on; `count` is how many there are."""
    if count and np.isnan(kept[0]):
        return count
    bar = kept[limit - 1] if count == limit else np.float32(0)
    for first in range(0, values.size, _GLANCE):
        # A slice counts from 0, which spares a test of every index and lets this be vectorised.
        few = values[first : first + _GLANCE]
        above = np.int32(0)  # As wide as the values, or half as many are compared at once.
        for j in range(few.size):
            above = np.int32(above | np.int32(not few[j] <= bar))
        if not above:
            continue
        for j in range(few.size):
            value = few[j]
            if np.isnan(value):
                place[0], kept[0] = start + first + j, value
                return max(count, 1)
            if value > bar:
                if count < limit:
                    count += 1
                i = count - 1
                while i > 0 and kept[i - 1] < value:
                    kept[i], place[i] = kept[i - 1], place[i - 1]
                    i -= 1
                kept[i], place[i] = value, start + first + j
                if count == limit:
                    bar = kept[limit - 1]
    return count


@compiled
def share(mass, kept, count):
    """Turns `count` contributions into their shares of the mass."""
    total = np.float32(0)
    for k in range(count):
        total += kept[k]
    for k in range(count):
        kept[k] = mass * (kept[k] / total)
