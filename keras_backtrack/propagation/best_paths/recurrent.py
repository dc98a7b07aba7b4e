"""Nodes on their way back in time."""

import tensorflow as tf

from ...rules.contributions import Loop
from ...rules.traced_call import TracedCall
from ..nodes import Nodes, merge
from ..recurrent import place_units, units_of
from ..sums import collect


class NodesInTime:
    """`Travels` for nodes.

    Args:
        loop, call: The recurrent layer.
        nodes: Nodes at its output.
        image_index: (E,) int64, which row of the batch each explanation is about.
    """

    def __init__(self, loop: Loop, call: TracedCall, nodes: Nodes, image_index: tf.Tensor) -> None:
        self._image_index = image_index
        self._units = place_units(loop, call)
        self._steps = tf.shape(loop.sequence)[1]
        self._length = tf.cast(self._steps, tf.int64)
        self._width = units_of(loop.sequence) // self._length
        self._nobody = nodes.where(tf.zeros_like(nodes.index, tf.bool))
        self.at_end = [self._nobody] * len(loop.cell.outputs)
        self._in_sequence = self._nobody
        if loop.position == 0 and loop.is_whole:
            self._in_sequence = nodes
        else:
            self.at_end[loop.position] = nodes

    def nothing(self, place: int) -> Nodes:
        return self._nobody

    def of_step(self, step: tf.Tensor) -> Nodes:
        """Those of one step, as nodes of a tensor without time."""
        nodes, each = self._in_sequence, self._units[0]
        explanation, time = (
            nodes.index // each // self._length,
            nodes.index // each % self._length,
        )
        here = nodes._replace(index=explanation * each + nodes.index % each)
        return here.where(tf.equal(time, tf.cast(step, tf.int64)))

    def split(self, here: Nodes, place: int, mask: tf.Tensor) -> tuple[Nodes, Nodes]:
        image = tf.gather(self._image_index, here.index // self._units[place])
        sees = tf.gather(mask, image)
        return here.where(sees), here.where(~sees)

    def add(self, one: Nodes, other: Nodes) -> Nodes:
        return merge([one, other])

    def total(self, here: Nodes, place: int) -> tf.Tensor:
        explanation = here.index // self._units[place]
        return tf.math.unsorted_segment_sum(here.mass, explanation, tf.size(self._image_index))

    def collector(self) -> list[tf.TensorArray]:
        return [collect(self._steps, field[:0]) for field in self._nobody]

    def collect(
        self,
        found: list[tf.TensorArray],
        read: Nodes | None,
        step: tf.Tensor,
        time: tf.Tensor,
    ) -> list[tf.TensorArray]:
        read = self._nobody if read is None else read
        row, unit = read.index // self._width, read.index % self._width
        place = row * self._length + tf.cast(time, tf.int64)
        read = read._replace(index=place * self._width + unit)
        return [array.write(step, part) for array, part in zip(found, read, strict=True)]

    def collected(self, found: list[tf.TensorArray]) -> Nodes:
        return Nodes(*(array.concat() for array in found))

    def shapes(self) -> list[Nodes]:
        some = tf.TensorShape([None])
        return [Nodes(some, some, some)] * len(self.at_end)
