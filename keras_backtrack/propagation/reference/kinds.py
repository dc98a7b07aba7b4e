"""What kind of step a call is, told from the reference's own rule for it."""

from collections.abc import Callable
from enum import Enum, auto

from . import contraction, joining, moving, recurrent, weighted
from .plain_call import PlainCall
from .walk import rule_for


class Kind(Enum):
    """Where a unit of the output comes from.

    `SAME`: from the unit at the same row-major place. `MOVED`: from one unit of some input.
    `LARGEST`: from the largest of several. `JOINED`: from one unit of every input. `APART`: from a
    sum in which channels stay apart. `MIXED`: from a sum over units of different kinds. `PRODUCT`:
    from such a sum over either of two inputs. `LOOP`: from steps along a sequence.
    """

    SAME = auto()
    MOVED = auto()
    LARGEST = auto()
    JOINED = auto()
    APART = auto()
    MIXED = auto()
    PRODUCT = auto()
    LOOP = auto()


_SAME = (
    *(moving.batch_normalization, moving.negative, moving.normalization, moving.rescaling),
    *(moving.reshape, moving.scaled, moving.unchanged),
)
_JOINED = (
    *(joining.add, joining.arithmetic, joining.crossing, joining.extreme, joining.multiply),
    joining.subtract,
)
_LARGEST = (
    *(moving.largest_few, weighted.adaptive_max_pooling, weighted.extreme_along_axes),
    weighted.max_pooling,
)
_MIXED = (
    *(weighted.bag, weighted.convolution, weighted.convolved, weighted.convolved_apart),
    *(weighted.dense, weighted.depthwise_convolution, weighted.transposed_convolution),
)
_LETTERED = (
    *(contraction.attention, contraction.einsum, contraction.einsum_dense, contraction.matmul),
    contraction.pairs,
)


def kind_of(step: PlainCall) -> Kind:
    rule = rule_for(step.call)
    if step.is_folded and rule is not moving.reshape:
        step = step.row(0)
    if rule is recurrent.recurrent:
        return Kind.LOOP
    if rule in _SAME:
        return Kind.SAME
    if rule in _JOINED:
        return _of_arithmetic(step)
    if rule in _LARGEST:
        return Kind.LARGEST
    if rule in _MIXED:
        return Kind.MIXED
    if rule in (*_LETTERED, contraction.reduced):
        return _of_contraction(step, rule)
    if rule is weighted.cumsum:
        is_over_channels = weighted.cumsum_axis(step) == step.inputs[0].ndim - 1
        return Kind.MIXED if is_over_channels else Kind.APART
    is_mean = rule is weighted.resized and getattr(step.layer, "interpolation", "") != "nearest"
    return Kind.APART if is_mean or rule is weighted.average_pooling else Kind.MOVED


def _of_arithmetic(step: PlainCall) -> Kind:
    if len(step.inputs) > 1:
        return Kind.JOINED
    return Kind.SAME if step.inputs[0].shape == step.output.shape else Kind.MOVED


def _of_contraction(step: PlainCall, rule: Callable) -> Kind:
    if rule in (contraction.einsum, contraction.matmul) and len(step.followed) > 1:
        return Kind.PRODUCT
    return Kind.APART if contraction.leaves_channels_apart(step) else Kind.MIXED
