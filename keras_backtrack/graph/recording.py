"""What layers are made of: their `call` recorded on symbolic tensors, as in the Functional API."""

import inspect
from typing import Any, NamedTuple

import tensorflow as tf

from .compat import (
    KerasCall,
    cut,
    dtype_of_cell,
    give_kernel,
    is_symbolic,
    is_variable,
    keeping_nodes,
    keras,
    layers_in,
    mask_of,
    operation_name,
    recorded_calls,
    reverse_time,
    takes_training,
    tensors_in,
    twin,
)

layers = keras.layers


class Recorded(NamedTuple):
    """What a layer is made of.

    Attributes:
        model: What it does. Its inputs are the tensors of the layer's arguments in their order,
            and behind them the masks of some.
        masked: Which of those tensors have their masks among the inputs.
    """

    model: keras.Model
    masked: list[int]


def record_call(made: KerasCall, may_be_masked: bool = False, is_opened: bool = False) -> Recorded:
    """Records what a layer's `call` does, for one call of it.

    Args:
        made: The call; its layer is built, symbolic tensors are among its arguments.
        may_be_masked: As for `gets_mask`.
        is_opened: Whether it is its activation that nobody knows: what comes before stays a layer.

    Raises:
        Exception: Whatever `call` raises where it does something that cannot be recorded.
    """
    layer = made.layer
    fresh: list[Any] = []
    masks: dict[int, Any] = {}

    def renewed(value: Any) -> Any:
        if not is_symbolic(value):
            return value
        tensor = _like(value)
        if gets_mask(value, may_be_masked):
            mask = keras.Input(batch_shape=value.shape[:2], dtype="bool")
            masks[len(fresh)] = tensor._keras_mask = mask
        fresh.append(tensor)
        return tensor

    args, kwargs = tf.nest.map_structure(renewed, (made.args, made.kwargs))

    def record() -> keras.Model:
        given = layer, args, kwargs
        outputs = with_activation(layer, *args, **kwargs) if is_opened else _made_by(*given)
        tensors = tensors_in(outputs)
        if not isinstance(outputs, dict) or len(tensors) < len(outputs):
            outputs = tensors[0] if len(tensors) == 1 else tensors
        return keras.Model([*fresh, *masks.values()], outputs)

    return Recorded(keeping_nodes(layers_in(layer), record), list(masks))


def gets_mask(tensor: Any, may_be_masked: bool) -> bool:
    """Whether a symbolic tensor may come with a mask when the network runs.

    Args:
        tensor: The tensor.
        may_be_masked: Whether sequences may get masks from outside of a nested model, which the
            symbolic tensors inside know nothing of.
    """
    return mask_of(tensor) is not None or (may_be_masked and len(tensor.shape) == 3)


def _made_by(layer: Any, args: tuple, kwargs: dict) -> Any:
    """What a layer's `call` makes of symbolic tensors."""
    if is_channels_first(layer):
        return _channels_last(layer, *args)
    if isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
        return _separated(layer, *args)
    if isinstance(layer, layers.Bidirectional):
        return _both_ways(layer, *args)
    given = _with_masks(layer, args, kwargs)
    if takes_training(layer):
        given["training"] = False
    return layer.call(**given)


def with_activation(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls a layer without its activation, and then that."""
    if isinstance(layer, layers.Activation):
        return layer.activation(*args)
    return layer.activation(twin(layer, name="linear", activation="linear")(*args, **kwargs))


def record_cell(made: KerasCall) -> keras.Model:
    """Records what a recurrent layer does at one time step.

    Returns:
        A model from one time step of the sequence, and the states, to the output and new states.
    """
    layer = made.layer
    sequence = next(value for value in tf.nest.flatten(made.args) if is_symbolic(value))
    if isinstance(layer, layers.TimeDistributed):
        step = keras.Input(batch_shape=(None, *sequence.shape[2:]), dtype=sequence.dtype)
        return keeping_nodes(layers_in(layer), lambda: keras.Model(step, layer.layer(step)))
    cell = layer.cell
    dtype = dtype_of_cell(cell)
    step = keras.Input(batch_shape=(None, *sequence.shape[2:]), dtype=dtype)
    if isinstance(layer, CONVOLUTIONAL):
        shape = made.outputs[0].shape[2 if layer.return_sequences else 1 :]
        states = [keras.Input(shape, dtype=dtype) for _ in range(2)]
        return keras.Model([step, *states], _convolutional_lstm(cell, step, *states))
    states = [keras.Input((n,), dtype=dtype) for n in tf.nest.flatten(cell.state_size)]
    packed = tf.nest.pack_sequence_as(cell.state_size, states)
    packed = packed if tf.nest.is_nested(packed) else [packed]

    def record() -> keras.Model:
        training = {"training": False} if takes_training(cell) else {}
        outputs = tf.nest.flatten(cell.call(step, packed, **training))
        return keras.Model([step, *states], outputs)

    return keeping_nodes(layers_in(cell), record)


CONVOLUTIONAL = (layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D)


def _convolutional_lstm(cell: Any, x: Any, h: Any, c: Any) -> list[Any]:
    """One time step of a convolutional LSTM, made of layers that share its variables.

    Its own `call` cuts the kernels in pieces, which would not follow them when they change.

    Returns:
        The output and the two new states.
    """

    def convolved(tensor: Any, kernel: Any, bias: Any, name: str, **settings: Any) -> Any:
        make = getattr(layers, f"Conv{cell.rank}D")
        layer = make(4 * cell.filters, cell.kernel_size, name=name, **settings)
        give_kernel(layer, kernel, bias)
        return layer(tensor)

    seen = convolved(
        x,
        cell.kernel,
        cell.bias,
        "seen",
        strides=cell.strides,
        padding=cell.padding,
        dilation_rate=cell.dilation_rate,
    )
    remembered = convolved(h, cell.recurrent_kernel, None, "remembered", padding="same")
    into, kept, candidate, out = cut(layers.Add()([seen, remembered]), 4)
    into, kept, out = (layers.Activation(cell.recurrent_activation)(g) for g in (into, kept, out))
    candidate = layers.Activation(cell.activation)(candidate)
    c = layers.Add()([layers.Multiply()([kept, c]), layers.Multiply()([into, candidate])])
    h = layers.Multiply()([out, layers.Activation(cell.activation)(c)])
    return [h, h, c]


def is_channels_first(layer: Any) -> bool:
    """Whether a layer has the channels of its tensors before all other axes."""
    return getattr(layer, "data_format", None) == "channels_first" and not is_recurrent(layer)


def is_recurrent(layer: Any) -> bool:
    """Whether a layer does the same at every time step of a sequence."""
    return isinstance(layer, (layers.RNN, layers.TimeDistributed))


def reads_mask(layer: Any) -> bool:
    """Whether a layer that is not recorded does something else where its input is masked."""
    return is_recurrent(layer) or isinstance(layer, layers.GlobalAveragePooling1D)


def holds_derived_numbers(model: keras.Model) -> bool:
    """Whether numbers were worked out while a layer was recorded, from its variables perhaps."""
    if hasattr(model, "derives"):
        return model.derives
    values = tf.nest.flatten([[call.args, call.kwargs] for call in recorded_calls(model)])
    return any(
        tf.is_tensor(v) and not is_variable(v) and v.dtype.is_floating and v.shape.rank > 0
        for v in values
        if not is_symbolic(v)
    )


def asks_for_batch(model: keras.Model) -> bool:
    """Whether a recorded operation asks for sizes, or was given some that nobody knew then."""
    for call in recorded_calls(model):
        if operation_name(call.layer) in ("rank", "shape", "size"):
            return True
        if operation_name(call.layer) not in (None, "getitem"):
            settings = (*vars(call.layer).values(), *call.args, *call.kwargs.values())
            if any(isinstance(own, (list, tuple)) and _is_of_sizes(own) for own in settings):
                return True
    return False


def _is_of_sizes(values: list | tuple) -> bool:
    are_sizes = all(value is None or isinstance(value, int) for value in values)
    return are_sizes and None in values and len(values) > 1


def _like(value: Any) -> Any:
    return keras.Input(batch_shape=value.shape, dtype=value.dtype)


def _with_masks(layer: Any, args: tuple, kwargs: dict) -> dict:
    """The arguments by name, with the masks that Keras puts in when it calls a layer."""
    signature = inspect.signature(layer.call)
    given = dict(signature.bind_partial(*args, **kwargs).arguments)
    first = next(iter(given))
    for name, value in list(given.items()):
        masks = tf.nest.map_structure(mask_of, value)
        key = "mask" if name == first and "mask" in signature.parameters else f"{name}_mask"
        is_masked = any(mask is not None for mask in tf.nest.flatten(masks))
        if is_masked and key in signature.parameters and given.get(key) is None:
            given[key] = masks
    return given


def _channels_last(layer: Any, x: Any) -> Any:
    """Brings the channels to the end first, and back after."""
    rank = len(x.shape)
    last = layers.Permute((*range(2, rank), 1), name="channels_last")(x)
    y = twin(layer, data_format="channels_last")(last)
    if len(y.shape) < rank:
        return y
    return layers.Permute((rank - 1, *range(1, rank - 1)), name="channels_first")(y)


def _separated(layer: Any, x: Any) -> Any:
    """Calls the depthwise and the pointwise layer that a separable convolution is made of."""
    rank = len(layer.kernel_size)
    depthwise = getattr(layers, f"DepthwiseConv{rank}D")(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        dilation_rate=layer.dilation_rate,
        name="depthwise",
    )
    pointwise = getattr(layers, f"Conv{rank}D")(
        layer.filters, 1, activation=layer.activation, name="pointwise"
    )
    give_kernel(depthwise, layer.depthwise_kernel)
    give_kernel(pointwise, layer.pointwise_kernel, layer.bias)
    return pointwise(depthwise(x))


_MERGED = {
    "concat": layers.Concatenate,
    "sum": layers.Add,
    "ave": layers.Average,
    "mul": layers.Multiply,
}


def _both_ways(layer: Any, x: Any) -> Any:
    """Calls the two recurrent layers that a bidirectional one is made of."""
    forward, backward = (
        tf.nest.flatten(way(x)) for way in (layer.forward_layer, layer.backward_layer)
    )
    last = reverse_time(backward[0]) if layer.return_sequences else backward[0]
    if layer.merge_mode is None:
        merged = [forward[0], last]
    else:
        merged = [_MERGED[layer.merge_mode](name="merged")([forward[0], last])]
    outputs = [*merged, *forward[1:], *backward[1:]]
    return outputs[0] if len(outputs) == 1 else outputs
