"""Small networks that learn a kind of scenes in seconds."""

from keras_backtrack.graph.compat import keras
from keras_backtrack.models.networks import PREPROCESSING, Network
from keras_backtrack.pictures.photos import Frame

from ..subject import Subject
from .drawing import SIZE
from .scenes import KINDS, make

layers = keras.layers

SCENES, EPOCHS = 3000, 12
# Of scenes it was not trained on: from which on training ends, and what it must come to.
_RIGHT, _LEARNED = 0.99, 0.9
_ATTEMPTS = 3


def build(kind: str) -> keras.Model:
    """Three convolutions with pooling between, and a global average or, for places, a Flatten."""
    chosen = KINDS[kind]
    x = image = keras.Input((SIZE, SIZE, 3))
    for i, filters in enumerate((16, 32, 32), 1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{i}")(x)
        if i < 3:
            x = layers.MaxPooling2D(2, name=f"pool{i}")(x)
    if chosen.needs_place:
        x = layers.MaxPooling2D(2, name="pool3")(x)
        x = layers.Flatten(name="flatten")(x)
    else:
        x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(len(chosen.classes), activation="softmax", name="classes")(x)
    return keras.Model(image, x)


class _Enough(keras.callbacks.Callback):
    """Stops when the network is right as often as wanted."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (logs or {}).get("val_accuracy", 0) >= _RIGHT:
            self.model.stop_training = True


def trained(kind: str, scenes: int = SCENES, epochs: int = EPOCHS, seed: int = 0) -> Subject:
    """A network that was trained on scenes of a kind.

    Args:
        kind: One of `KINDS`.
        scenes: How many it is trained on.
        epochs: How often at most.
        seed: Of the scenes and the first weights.

    Raises:
        RuntimeError: If it learns nothing from several beginnings.
    """
    data, held_out = make(kind, scenes, seed + 1), make(kind, 300, seed + 2)
    prepare = PREPROCESSING["unit"]
    x, y = (prepare(part.pictures) for part in (data, held_out))
    for attempt in range(_ATTEMPTS):
        # With few units a beginning may be one from which all of them die.
        keras.utils.set_random_seed(seed + 100 * attempt)
        model = build(kind)
        model.compile(
            keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        checks = {"validation_data": (y, held_out.classes), "callbacks": [_Enough()]}
        history = model.fit(x, data.classes, 32, epochs, verbose=0, **checks).history
        if history["val_accuracy"][-1] >= _LEARNED:
            return Subject(Network(model, prepare, KINDS[kind].classes, Frame.squeeze))
    raise RuntimeError(
        f"The network should be right about {_LEARNED:.0%} of the scenes of {kind!r}. "
        f"Received: {history['val_accuracy'][-1]:.0%}."
    )
