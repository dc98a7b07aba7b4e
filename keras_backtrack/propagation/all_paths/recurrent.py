"""The mass of all paths on its way back in time."""

import tensorflow as tf

from ...rules.contributions import Loop
from ...rules.traced_call import TracedCall
from ..recurrent import place_units, units_of
from .dense_mass import Maps, add, all_mass, full, rows_where


class MapsInTime:
    """`Travels` for maps, whose tensors have a row for each explanation.

    Args:
        loop, call: The recurrent layer.
        maps: The mass at its output.
    """

    def __init__(self, loop: Loop, call: TracedCall, maps: Maps) -> None:
        self._units = [tf.cast(units, tf.int32) for units in place_units(loop, call)]
        self._read = tf.cast(units_of(loop.sequence), tf.int32)
        self._steps = tf.shape(loop.sequence)[1]
        self._explanations = tf.shape(maps.high)[0]
        self.at_end = [self.nothing(place) for place in range(len(loop.cell.outputs))]
        self._in_sequence: list[tf.Tensor] | None = None
        if loop.position == 0 and loop.is_whole:
            shape = [self._steps, self._units[0]]
            self._in_sequence = [tf.reshape(m, [tf.shape(m)[0], *shape]) for m in maps]
        else:
            self.at_end[loop.position] = maps

    def _zeros(self, units: tf.Tensor) -> Maps:
        return Maps(tf.zeros([self._explanations, units]), tf.zeros([0, units]))

    def nothing(self, place: int) -> Maps:
        return self._zeros(self._units[place])

    def of_step(self, step: tf.Tensor) -> Maps:
        if self._in_sequence is None:
            return self.nothing(0)
        return Maps(*(mass[:, step] for mass in self._in_sequence))

    def split(self, here: Maps, place: int, mask: tf.Tensor) -> tuple[Maps, Maps]:
        parts = [[rows_where(mass, rows) for mass in here] for rows in (mask, ~mask)]
        return Maps(*parts[0]), Maps(*parts[1])

    def add(self, one: Maps, other: Maps) -> Maps:
        return Maps(*map(add, one, other))

    def total(self, here: Maps, place: int) -> tf.Tensor:
        return all_mass(here)

    def collector(self) -> list[tf.TensorArray]:
        shape = [None, None]
        return [tf.TensorArray(tf.float32, self._steps, element_shape=shape) for _ in range(2)]

    def collect(
        self, found: list[tf.TensorArray], read: Maps | None, step: tf.Tensor, time: tf.Tensor
    ) -> list[tf.TensorArray]:
        read = self._zeros(self._read // self._steps) if read is None else read
        read = Maps(read.high, full(read.low, read.high))
        return [array.write(time, mass) for array, mass in zip(found, read, strict=True)]

    def collected(self, found: list[tf.TensorArray]) -> Maps:
        stacked = [tf.transpose(mass.stack(), [1, 0, 2]) for mass in found]
        high, low = (tf.reshape(mass, [-1, self._read]) for mass in stacked)
        # Whether anybody was asked why it is low is known for all steps only now.
        return Maps(high, tf.cond(tf.reduce_any(low != 0), lambda: low, lambda: low[:0]))

    def shapes(self) -> list[Maps]:
        some = tf.TensorShape([None, None])
        return [Maps(some, some)] * len(self.at_end)
