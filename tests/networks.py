"""Random small networks of every supported layer."""

import numpy as np
from hypothesis import strategies as st
from idioms import idiom
from propagation.compared import assert_equals_reference as assert_equals_reference

from keras_backtrack.graph.compat import keras

layers = keras.layers
TOKENS = 12
ACTIVATIONS = ["relu", "swish", "tanh", "linear", "elu", "sigmoid", "gelu"]


@st.composite
def networks(draw, units=5):
    """A model and the weights' kind: `exact` ones make ties, and sums without rounding."""
    size = draw(st.tuples(st.integers(5, 11), st.integers(5, 11), st.integers(1, 4)))
    exact = draw(st.booleans())
    image = keras.Input(size)
    x = _stem(draw, image)
    for _ in range(draw(st.integers(1, 3))):
        x = _block(draw, x)
    x = _head(draw, x, units)
    model = keras.Model(image, x)
    randomise_all(model, draw(st.integers(0, 2**31)), exact)
    return model, exact


@st.composite
def two_input_networks(draw):
    """As `networks`, of a picture and a table, or of two pictures."""
    first = keras.Input((draw(st.integers(6, 9)), 7, 2))
    x = _block(draw, _conv(draw, first))
    if draw(st.booleans()):
        second = keras.Input((4,))
        x = layers.Flatten()(x)
        y = layers.Dense(3, activation=draw(st.sampled_from(ACTIVATIONS)))(second)
    else:
        second = keras.Input((5, 6, 1))
        y = layers.GlobalAveragePooling2D()(_block(draw, second))
        x = layers.GlobalMaxPooling2D()(x)
    x = layers.Dense(5)(layers.Concatenate()([x, y]))
    model, exact = keras.Model([first, second], x), draw(st.booleans())
    randomise_all(model, draw(st.integers(0, 2**31)), exact)
    return model, exact


@st.composite
def u_nets(draw):
    """As `networks`, with a decision for every pixel; narrow maps are only on some of the ways."""
    image = keras.Input((16, draw(st.sampled_from([8, 12])), draw(st.integers(1, 3))))
    settings = {"padding": "same", "activation": draw(st.sampled_from(ACTIVATIONS))}
    x = wide = layers.Conv2D(2, 3, **settings)(image)
    x = _block(draw, layers.MaxPooling2D(2)(x)) if draw(st.booleans()) else layers.MaxPooling2D()(x)
    x = layers.Conv2D(2, 3, **settings)(x)
    if x.shape[1:3] != (8, image.shape[2] // 2):
        x = layers.Resizing(8, image.shape[2] // 2)(x)
    up = draw(st.sampled_from(["nearest", "bilinear", "transposed"]))
    if up == "transposed":
        x = layers.Conv2DTranspose(2, 2, strides=2, **settings)(x)
    else:
        x = layers.UpSampling2D(2, interpolation=up)(x)
    x = layers.Conv2D(2, 3, **settings)(layers.Concatenate()([wide, x]))
    last = draw(st.sampled_from([None, "softmax", "sigmoid"]))
    model = keras.Model(image, layers.Conv2D(2, 1, activation=last)(x))
    exact = draw(st.booleans())
    randomise_all(model, draw(st.integers(0, 2**31)), exact)
    return model, exact


def _stem(draw, x):
    kind = draw(st.sampled_from(["none", "rescaling", "rescaling per channel", "normalization"]))
    if kind == "rescaling":
        return layers.Rescaling(draw(st.sampled_from([0.5, -2.0])), offset=0.25)(x)
    if kind == "rescaling per channel":
        return layers.Rescaling([(-1.0) ** c * (c + 1) for c in range(x.shape[-1])])(x)
    if kind == "normalization":
        return layers.Normalization(mean=0.5, variance=4.0)(x)
    return x


def _block(draw, x):
    kind = draw(
        st.sampled_from(
            [
                *("conv", "conv", "depthwise", "pool", "add", "join", "gate", "concatenate"),
                *("nested", "move", "small", "arithmetic", "separable", "idiom"),
            ]
        )
    )
    if kind == "conv":
        return _conv(draw, x)
    if kind == "depthwise":
        return layers.DepthwiseConv2D(
            draw(st.sampled_from([1, 2, 3, (1, 3)])),
            strides=draw(st.sampled_from([1, 1, 2])),
            padding="same",
            depth_multiplier=draw(st.integers(1, 2)),
            use_bias=draw(st.booleans()),
            activation=draw(st.sampled_from(ACTIVATIONS)),
        )(x)
    if kind == "pool":
        return _pool(draw, x)
    if kind == "add":
        y = layers.Conv2D(x.shape[-1], 3, padding="same")(x)
        y = layers.BatchNormalization()(y)
        if draw(st.booleans()):
            # A branch that is broadcast over space.
            gate = layers.Reshape((1, 1, -1))(layers.GlobalAveragePooling2D()(y))
            return layers.Add()([x, y, gate])
        return layers.Add()([x, y])
    if kind == "concatenate":
        y = layers.Conv2D(draw(st.integers(1, 3)), 1, activation="relu")(x)
        axis = -1 if draw(st.booleans()) else 3
        return layers.Concatenate(axis=axis)([x, y, x])
    if kind == "nested":
        # Called twice, so that its layers are shared as well.
        inner = keras.Input(x.shape[1:])
        y = layers.Conv2D(x.shape[-1], 3, padding="same", activation="relu")(inner)
        nested = keras.Model(inner, layers.PReLU(shared_axes=[1, 2])(y))
        return nested(nested(x))
    if kind == "join":
        join = draw(st.sampled_from(["Subtract", "Multiply", "Average", "Maximum", "Minimum"]))
        y = layers.Conv2D(x.shape[-1], 3, padding="same")(x)
        return getattr(layers, join)()([y, x])
    if kind == "gate":
        return _gate(draw, x)
    if kind == "arithmetic":
        return _arithmetic(draw, x)
    if kind == "idiom":
        return idiom(draw, x)
    if kind == "separable":
        return layers.SeparableConv2D(
            draw(st.integers(1, 3)),
            draw(st.sampled_from([1, 2, 3])),
            padding="same",
            depth_multiplier=draw(st.integers(1, 2)),
            use_bias=draw(st.booleans()),
            activation=draw(st.sampled_from(ACTIVATIONS)),
        )(x)
    if kind == "move":
        return _move(draw, x)
    return _elementwise(draw, x)


def _gate(draw, x):
    if draw(st.booleans()):
        # Squeeze-and-excite.
        y = layers.Reshape((1, 1, -1))(layers.GlobalAveragePooling2D()(x))
        y = layers.Conv2D(x.shape[-1], 1, activation=draw(st.sampled_from(["sigmoid", "tanh"])))(y)
    else:
        y = layers.Conv2D(x.shape[-1], 3, padding="same", activation="sigmoid")(x)
    return layers.Multiply()([x, y])


def _arithmetic(draw, x):
    y = layers.Conv2D(x.shape[-1], 3, padding="same")(x)
    channels = np.array([(-1.0) ** c * (c + 1) for c in range(x.shape[-1])], np.float32)
    return draw(
        st.sampled_from(
            [
                lambda: x * -0.5 + y,
                lambda: (1.0 - x) * channels - y / 2.0,
                lambda: Scaled()(x * y),
                lambda: -x / (y * y + 1.0),
                lambda: Scaled()(2.0 / (x * x + 1.0)),
            ]
        )
    )()


class Scaled(layers.Layer):
    """A layer without a rule, to be recorded: a residual branch with a learned scale."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.inner = layers.Conv2D(shape[-1], 1, activation="tanh")
        self.inner.build(shape)
        self.built = True

    def call(self, x, training=None):
        return x + self.inner(x) * self.scale


def _move(draw, x):
    move = draw(
        st.sampled_from(
            [
                layers.ZeroPadding2D(1),
                layers.ZeroPadding2D(((0, 1), (2, 0))),
                layers.ZeroPadding2D(((0, 1), (0, 1))),
                layers.Permute((2, 1, 3)),
                layers.Permute((3, 1, 2)),
                layers.UpSampling2D((1, 2)),
                layers.Cropping2D(((0, 1), (1, 0))),
            ]
        )
    )
    return move(x) if min(x.shape[1:3]) > 3 else x


@st.composite
def other_rank_networks(draw):
    """As `networks`, over signals or volumes."""
    rank = draw(st.sampled_from([1, 3]))
    sizes = st.integers(8, 14) if rank == 1 else st.integers(4, 6)
    x = image = keras.Input((*(draw(sizes) for _ in range(rank)), draw(st.integers(1, 3))))
    of = {name: getattr(layers, f"{name}{rank}D") for name in _OF_ANY_RANK}
    for _ in range(draw(st.integers(1, 3))):
        paddings = ["same", "valid", "causal"] if rank == 1 else ["same", "valid"]
        x = of["Conv"](
            draw(st.integers(1, 3)),
            draw(st.sampled_from([1, 2])),
            strides=draw(st.sampled_from([1, 2])),
            padding=draw(st.sampled_from(paddings)),
            activation=draw(st.sampled_from(ACTIVATIONS)),
        )(x)
        if min(x.shape[1:-1]) > 3:
            x = draw(
                st.sampled_from(
                    [
                        of["MaxPooling"](2),
                        of["AveragePooling"](2, strides=1, padding="same"),
                        of["ZeroPadding"](1),
                        of["Cropping"](1),
                        of["UpSampling"](2),
                        layers.BatchNormalization(),
                    ]
                )
            )(x)
    if draw(st.booleans()):
        x = layers.Flatten()(x)
    else:
        x = draw(st.sampled_from([of["GlobalMaxPooling"](), of["GlobalAveragePooling"]()]))(x)
        x = layers.Flatten()(layers.RepeatVector(2)(x))
    model = keras.Model(image, layers.Dense(5)(x))
    exact = draw(st.booleans())
    randomise_all(model, draw(st.integers(0, 2**31)), exact)
    return model, exact


_OF_ANY_RANK = (
    *("Conv", "MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling"),
    *("ZeroPadding", "Cropping", "UpSampling"),
)


def _conv(draw, x):
    groups = draw(st.sampled_from([g for g in (1, 1, 2, 3) if x.shape[-1] % g == 0]))
    strides = draw(st.sampled_from([1, 2, (2, 1)]))
    dilation = draw(st.sampled_from([1, 2])) if strides == 1 else 1
    kernel = draw(st.sampled_from([1, 2, 3, (3, 1)]))
    reach = (max(kernel) if isinstance(kernel, tuple) else kernel) * dilation
    fits = min(x.shape[1:3]) >= reach
    return layers.Conv2D(
        groups * draw(st.integers(1, 3)),
        kernel,
        strides=strides,
        dilation_rate=dilation,
        padding=draw(st.sampled_from(["same", "valid"])) if fits else "same",
        groups=groups,
        use_bias=draw(st.booleans()),
        activation=draw(st.sampled_from(ACTIVATIONS)),
    )(x)


def _pool(draw, x):
    pool = layers.MaxPooling2D if draw(st.booleans()) else layers.AveragePooling2D
    size = draw(st.sampled_from([2, 3, (2, 1)]))
    return pool(
        size,
        strides=draw(st.sampled_from([None, 1, 2])),
        padding="valid" if min(x.shape[1:3]) >= 3 else "same",
    )(x)


def _elementwise(draw, x):
    return draw(
        st.sampled_from(
            [
                layers.ReLU(6.0),
                layers.LeakyReLU(),
                layers.ELU(),
                layers.Softmax(),
                layers.Dropout(0.5),
                layers.SpatialDropout2D(0.5),
                layers.GaussianNoise(1.0),
                layers.Activation("softplus"),
                layers.BatchNormalization(),
                layers.BatchNormalization(scale=False),
                layers.LayerNormalization(),
                layers.LayerNormalization(axis=[1, 3]),
                layers.GroupNormalization(1),
                layers.UnitNormalization(),
            ]
        )
    )(x)


def _head(draw, x, units):
    last = draw(st.sampled_from([None, "softmax", "sigmoid"]))
    kind = draw(st.sampled_from(["flatten", "average", "max", "dense in place", "class maps"]))
    if kind == "class maps":
        x = layers.Conv2D(units, 1, activation=draw(st.sampled_from(ACTIVATIONS)))(x)
        return layers.Activation(last or "linear")(layers.GlobalAveragePooling2D()(x))
    if kind == "dense in place":
        x = layers.Flatten()(layers.Dense(3, activation="relu")(x))
    elif kind == "flatten":
        x = layers.Flatten()(x)
    elif kind == "average":
        x = layers.GlobalAveragePooling2D()(x)
    else:
        x = layers.GlobalMaxPooling2D()(x)
    if draw(st.booleans()):
        x = layers.Dense(6, activation=draw(st.sampled_from(ACTIVATIONS)))(x)
    return layers.Dense(units, activation=last)(x)


def randomise(model, seed: int) -> None:
    """Random weights that keep activations in range, with signs in play."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        name, shape = getattr(weight, "path", weight.name), tuple(weight.shape)
        if "kernel" in name:
            fan_in = np.prod(shape[:-2] if "depthwise" in name else shape[:-1])
            weight.assign(rng.normal(size=shape) * np.sqrt(2 / fan_in))
        elif "gamma" in name and "batch" in name.lower():
            weight.assign(rng.uniform(0.5, 1.5, shape) * rng.choice([1, 1, 1, -1], shape))


def randomise_all(model, seed: int, exact: bool) -> None:
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        values = rng.integers(-3, 4, shape) / 4 if exact else rng.normal(size=shape)
        if "variance" in getattr(weight, "path", weight.name):
            values = np.abs(values) + 0.5
        weight.assign(values.astype(np.float32))


def images(model, count: int, seed: int, exact: bool) -> list[np.ndarray]:
    """Inputs for a model, with ties and zeros where exact; tokens where it wants integers."""
    rng = np.random.default_rng(seed)
    found = []
    for tensor in model.inputs:
        shape = (count, *tensor.shape[1:])
        if "int" in tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.is_integer:
            found.append(rng.integers(0, TOKENS, shape).astype(np.int32))
        elif exact:
            found.append((rng.integers(-2, 3, shape) / 2).astype(np.float32))
        else:
            found.append(rng.normal(size=shape).astype(np.float32))
    return found
