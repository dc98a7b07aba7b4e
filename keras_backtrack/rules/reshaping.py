"""Layers and operations that only move units about."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from ..graph.compat import keras
from ..graph.errors import UnsupportedLayerError
from .contributions import Arrival, At, Moves, Relocation, Same, same_place
from .indexing import dims, product, ravel, units_of, unravel
from .order import taken_in_each
from .registry import nowhere, register_operation, register_rule
from .traced_call import TracedCall

layers = keras.layers


@register_rule(layers.Flatten, layers.Reshape)
@register_operation("expanddims", "ravel", "reshape", "squeeze")
def reshape(call: TracedCall) -> Same:
    """Row-major order stays as it is."""
    return same_place()


@register_rule(
    *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D),
    *(layers.Permute, layers.RepeatVector),
    *(layers.UpSampling1D, layers.UpSampling3D),
    *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D),
)
@register_operation("broadcastto", "depthtospace", "flip", "getitem", "moveaxis", "pad", "repeat")
@register_operation("roll", "slice", "spacetodepth", "split", "stack", "swapaxes", "stridedslice")
@register_operation("tile", "transpose", "unstack", "concatenate", "rot90", "tril", "triu")
@register_operation("extractimagepatches", "matrixbandpart", "matrixdiagpartv3")
def moved(call: TracedCall) -> Moves:
    """Where each unit came from is what the layer makes of the units' own places.

    Places are counted through all inputs: where padding or a constant comes out, mass ends.
    """
    return _moved(call, call.run_on_places)


@register_operation("extractpatches")
def patches(call: TracedCall) -> Moves:
    """Keras cuts them with a convolution, which takes no integers."""

    def run(places: Sequence[tf.Tensor]) -> tf.Tensor:
        dtype = places[0].dtype
        if not dtype.is_integer:
            return call.run_on_places(places)
        # Those count further than any place.
        exact = [tf.cast(own, tf.float64) for own in places]
        return tf.cast(tf.round(call.run_on_places(exact)), dtype)

    return _moved(call, run)


@register_operation("scatterupdate", "sliceupdate", "tensorscatterupdate", "xladynamicupdateslice")
def overwritten(call: TracedCall) -> Moves:
    """A part of one tensor is another's."""
    return _moved(call, call.run_on_places, has_gradient=False)


@register_rule(layers.CenterCrop)
def center_crop(call: TracedCall) -> Moves:
    """Cut out by ourselves: the layer computes in floats, which cannot count to many places."""
    sizes, whole = dims(call.output)[:2], dims(call.input)[:2]
    firsts = [(n - size) // 2 for n, size in zip(whole, sizes, strict=True)]
    if any(isinstance(first, int) and first < 0 for first in firsts):
        raise UnsupportedLayerError(
            "CenterCrop is followed where it crops; smaller pictures it resizes. Received: "
            f"{call.call.describe()} of shape {call.input.shape} to {call.output.shape}."
        )
    return _moved(call, lambda places: tf.slice(places[0], [0, *firsts, 0], [-1, *sizes, -1]))


def _moved(
    call: TracedCall, run: Callable[[Sequence[tf.Tensor]], tf.Tensor], has_gradient: bool = True
) -> Moves:
    sizes = [units_of(tensor) for tensor in call.inputs]
    firsts, places = [tf.constant(0, tf.int64)], []
    for tensor, size in zip(call.inputs, sizes, strict=True):
        numbers = tf.range(firsts[-1] + 1, firsts[-1] + 1 + size, dtype=tf.int64)
        places.append(tf.reshape(numbers, [1, *dims(tensor)]))
        firsts.append(firsts[-1] + size)
    once, twice = run(places), run([2 * own for own in places])
    # A constant does not grow with them. Counted from a high number on, which constants are below,
    # they would get lost in layers that compute in floats.
    came_from = tf.reshape(tf.where(twice == 2 * once, once, 0) - 1, [-1])

    def to(at: At) -> list[Arrival]:
        place = tf.gather(came_from, at.unit)
        return [
            Arrival(place - first, here=(place >= first) & (place < first + size))
            for first, size in zip(firsts, sizes, strict=False)
        ]

    def back(mass: tf.Tensor) -> list[tf.Tensor]:
        """Moving is linear, so the way back is its gradient."""
        rows = tf.shape(mass)[:1]
        units = [tf.zeros(tf.concat([rows, tensor.shape[1:]], 0)) for tensor in call.inputs]
        with tf.GradientTape() as tape:
            tape.watch(units)
            made = run(units)
        found = tape.gradient(made, units, mass, unconnected_gradients="zero")
        return [tf.convert_to_tensor(part) for part in found]

    is_known = all(isinstance(size, int) for tensor in call.inputs for size in dims(tensor))
    # Others lose what the gradient is rounded to, or have none.
    is_exact = (
        has_gradient and is_known and all(tensor.dtype == tf.float32 for tensor in call.inputs)
    )
    return Relocation(to, back if is_exact else None, came_from=came_from if is_known else None)


@register_operation("glu")
def gated_halves(call: TracedCall) -> Moves:
    """The second half of an axis only weighs the first."""
    output, whole = dims(call.output), dims(call.input)
    return Moves(lambda at: [Arrival(ravel(unravel(at.unit, output), whole))])


@register_operation("onehot")
def one_hot(call: TracedCall) -> Moves:
    """All numbers of a token's vector are the token's."""
    axis = call.arguments.get("axis")
    if axis not in (None, -1, call.output.shape.rank - 1):
        raise UnsupportedLayerError(
            f"A one-hot vector must be along the last axis. Received: axis={axis} in "
            f"{call.call.describe()}."
        )
    classes = dims(call.output)[-1]
    return Moves(lambda at: [Arrival(at.unit // classes)])


@register_rule(layers.Embedding)
def embedding(call: TracedCall) -> Moves:
    """All numbers of a token's vector are the token's."""
    width = call.layer.output_dim
    return Moves(lambda at: [Arrival(at.unit // width)], takes_arrays=True)


@register_operation("take", "gather")
def taken(call: TracedCall) -> Moves:
    """What was taken; of a table that is a constant all numbers of a row are its index's."""
    if call.arguments.get("batch_dims"):
        return taken_in_each(call)
    if call.operands[0] is call.input:
        return moved(call)
    index = dims(call.input)
    if call.output.shape.rank - 1 < len(index) or call.arguments.get("axis") not in (None, 0):
        raise UnsupportedLayerError(
            "Of a table rows can be taken, along its first axis. "
            f"Received: {call.call.describe()} with axis={call.arguments.get('axis')}."
        )
    width = product(dims(call.output)[len(index) :])
    return Moves(lambda at: [Arrival(at.unit // width)], takes_arrays=isinstance(width, int))


@register_operation("sizes", follows=[])
def sizes(call: TracedCall) -> Moves:
    """What is made of a tensor's sizes is nobody's doing."""
    return nowhere(call)
