"""Complex numbers, as two real ones each; a Fourier transform is a matrix along an axis."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from .sums_along_axes import summed


class Parts(NamedTuple):
    """A complex tensor; `imaginary` is None where it is 0."""

    real: tf.Tensor
    imaginary: tf.Tensor | None


# Do the same to the real and to the imaginary part.
OF_EACH_PART = (
    *("BroadcastTo", "ConcatV2", "Cumsum", "ExpandDims", "GatherV2", "Identity", "Mean", "Pack"),
    *("Pad", "Reshape", "ReverseV2", "Roll", "Slice", "Split", "SplitV", "Squeeze"),
    *("StridedSlice", "Sum", "Tile", "Transpose", "Unpack"),
)


def _complex(operation: Any, real: tf.Tensor, imaginary: tf.Tensor) -> Parts:
    value = tf.get_static_value(imaginary)
    is_nothing = imaginary.op.type == "ZerosLike" or (value is not None and not np.any(value))
    return Parts(real, None if is_nothing else imaginary)


def _cast(operation: Any, value: Any) -> Any:
    if not isinstance(value, Parts):
        dtype = operation.outputs[0].dtype.real_dtype
        return Parts(tf.cast(value, dtype), None)
    return value if operation.outputs[0].dtype.is_complex else tf.identity(value.real)


def _real(operation: Any, value: Parts) -> tf.Tensor:
    return tf.identity(value.real)


def _imaginary(operation: Any, value: Parts) -> tf.Tensor:
    return tf.zeros_like(value.real) if value.imaginary is None else tf.identity(value.imaginary)


def _absolute(operation: Any, value: Parts) -> tf.Tensor:
    if value.imaginary is None:
        return tf.abs(value.real)
    return tf.sqrt(tf.square(value.real) + tf.square(value.imaginary))


def _conjugate(operation: Any, value: Parts) -> Parts:
    return Parts(value.real, _less(None, value.imaginary))


def _negative(operation: Any, value: Parts) -> Parts:
    return Parts(-value.real, _less(None, value.imaginary))


def _sum(operation: Any, one: Parts, other: Parts) -> Parts:
    return Parts(one.real + other.real, _plus(one.imaginary, other.imaginary))


def _difference(operation: Any, one: Parts, other: Parts) -> Parts:
    return Parts(one.real - other.real, _less(one.imaginary, other.imaginary))


def _product(operation: Any, one: Parts, other: Parts) -> Parts:
    real = _less(one.real * other.real, _times(one.imaginary, other.imaginary))
    mixed = _plus(_times(one.real, other.imaginary), _times(one.imaginary, other.real))
    assert real is not None
    return Parts(real, mixed)


def _quotient(operation: Any, one: Parts, other: Parts) -> Parts:
    if other.imaginary is not None:
        raise NotImplementedError("Nobody divides by complex numbers.")
    imaginary = None if one.imaginary is None else one.imaginary / other.real
    return Parts(one.real / other.real, imaginary)


# Of parts that may be nothing.
def _plus(one: tf.Tensor | None, other: tf.Tensor | None) -> tf.Tensor | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _less(one: tf.Tensor | None, other: tf.Tensor | None) -> tf.Tensor | None:
    if other is None:
        return one
    return -other if one is None else one - other


def _times(one: tf.Tensor | None, other: tf.Tensor | None) -> tf.Tensor | None:
    return None if one is None or other is None else one * other


def _waves(rows: Any, columns: Any, length: Any) -> list[Any]:
    """Cosine and sine of 2π·i·k / length for each row i and column k, from there on 0."""
    if all(isinstance(size, int) for size in (rows, columns, length)):
        i, k = np.arange(rows)[:, None], np.arange(columns)[None]
        angle = 2 * np.pi * (i * k % length) / length
        return [np.where(i < length, wave(angle), 0) for wave in (np.cos, np.sin)]
    i, k = tf.range(rows)[:, None], tf.range(columns)[None]
    angle = tf.cast(i * k % length, tf.float64) * (2 * np.pi / tf.cast(length, tf.float64))
    return [tf.cos(angle), tf.sin(angle)]


def _size(tensor: tf.Tensor, axis: int) -> Any:
    size = tensor.shape[axis]
    return tf.shape(tensor)[axis] if size is None else size


def _stacked(parts: list[Any], axis: int = 0) -> Any:
    are_arrays = all(isinstance(part, np.ndarray) for part in parts)
    return np.stack(parts, axis) if are_arrays else tf.stack(parts, axis)


def _transform(value: Parts, axis: int, is_inverse: bool) -> Parts:
    """The transform along an axis, of complex numbers."""
    size = _size(value.real, axis)
    cosine, sine = _waves(size, size, size)
    if is_inverse:
        count = size if isinstance(size, int) else tf.cast(size, tf.float64)
        cosine, sine = cosine / count, -sine / count
    if value.imaginary is None:
        return Parts(summed(value.real, cosine, axis), summed(value.real, -sine, axis))
    both = tf.stack([value.real, value.imaginary], -1)
    real = summed(both, _stacked([cosine, sine]), axis)
    return Parts(real, summed(both, _stacked([-sine, cosine]), axis))


def _transforms(axes: int, is_inverse: bool = False) -> Callable:
    def transforms(operation: Any, value: Parts) -> Parts:
        rank = operation.outputs[0].shape.rank
        for axis in range(rank - 1, rank - 1 - axes, -1):
            value = _transform(value, axis, is_inverse)
        return value

    return transforms


def _lengths(length: tf.Tensor) -> list[int]:
    found = tf.get_static_value(length)
    if found is None:
        raise NotImplementedError("The length must be known.")
    return [int(n) for n in found]


def _of_real_numbers(operation: Any, value: tf.Tensor, length: tf.Tensor) -> Parts:
    """Half of the transform along the last axis: the other half is its mirror image."""
    (count,) = _lengths(length)
    axis = value.shape.rank - 1
    if value.shape[axis] is None:
        raise NotImplementedError("The length must be known.")
    cosine, sine = _waves(value.shape[axis], count // 2 + 1, count)
    return Parts(summed(value, cosine, axis), summed(value, -sine, axis))


def _of_real_pictures(operation: Any, value: tf.Tensor, length: tf.Tensor) -> Parts:
    counts, rank = _lengths(length), value.shape.rank
    if counts != list(value.shape[-2:]):
        raise NotImplementedError("Nothing must be cut off.")
    return _transform(_of_real_numbers(operation, value, length[1:]), rank - 2, False)


def _to_real_numbers(operation: Any, value: Parts, length: tf.Tensor) -> tf.Tensor:
    """From half of a transform along the last axis; all but its ends count twice."""
    (count,) = _lengths(length)
    axis, half = value.real.shape.rank - 1, count // 2 + 1
    given = value.real.shape[axis]
    if given is None or given < half:
        raise NotImplementedError("The length must be known.")
    twice = np.full(given, 2.0)
    twice[0], twice[half:] = 1, 0
    if count % 2 == 0:
        twice[half - 1] = 1
    cosine, sine = (wave * twice[:, None] / count for wave in _waves(given, count, count))
    if value.imaginary is None:
        return summed(value.real, cosine, axis)
    both = tf.stack([value.real, value.imaginary], -1)
    return summed(both, np.stack([cosine, -sine]), axis)


def _to_real_pictures(operation: Any, value: Parts, length: tf.Tensor) -> tf.Tensor:
    if _lengths(length)[0] != value.real.shape[-2]:
        raise NotImplementedError("Nothing must be cut off.")
    rows = _transform(value, value.real.shape.rank - 2, True)
    return _to_real_numbers(operation, rows, length[1:])


OF_COMPLEX: dict[str, Callable] = {
    "AddV2": _sum,
    "Cast": _cast,
    "Complex": _complex,
    "ComplexAbs": _absolute,
    "Conj": _conjugate,
    "FFT": _transforms(1),
    "FFT2D": _transforms(2),
    "FFT3D": _transforms(3),
    "IFFT": _transforms(1, True),
    "IFFT2D": _transforms(2, True),
    "IFFT3D": _transforms(3, True),
    "IRFFT": _to_real_numbers,
    "IRFFT2D": _to_real_pictures,
    "Imag": _imaginary,
    "Mul": _product,
    "Neg": _negative,
    "RFFT": _of_real_numbers,
    "RFFT2D": _of_real_pictures,
    "Real": _real,
    "RealDiv": _quotient,
    "Sub": _difference,
}
