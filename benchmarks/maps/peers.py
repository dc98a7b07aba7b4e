"""Other people's methods in their own implementations (extra `bench`, and xplique.txt), with their
own defaults where they have them. Imported when asked for: each may be missing, or fail on this
Keras, and then its error is its entry in the table.
"""

import io
from collections.abc import Callable
from contextlib import redirect_stdout

import numpy as np

from .subject import Subject

_NOISE = 0.15  # of the range of the input, the middle of what Smilkov et al. recommend
_SAMPLES = 25
_STEPS = 25
_PATCHES = 5  # patches side by side; twice as many positions


def _xplique(name: str, positive: bool, **settings) -> Callable[[Subject], Callable]:
    """A method of Xplique; `positive` keeps what speaks for the class, else signs are dropped."""

    def make(subject: Subject) -> Callable:
        from xplique import attributions

        filled = {k: v(subject) if callable(v) else v for k, v in settings.items()}

        def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
            options = dict(filled)
            if name == "SmoothGrad":
                options["noise"] = _NOISE * float(np.ptp(x))
            method = getattr(attributions, name)(subject.model, **options)
            one_hot = np.eye(subject.units, dtype=np.float32)[targets]
            return _flat(method.explain(x, one_hot), positive)

        return explain

    return make


def _tf_keras_vis(module: str, name: str, **settings) -> Callable[[Subject], Callable]:
    """A method of tf-keras-vis."""

    def make(subject: Subject) -> Callable:
        from importlib import import_module

        from tf_keras_vis.utils.scores import CategoricalScore

        kind = getattr(import_module(f"tf_keras_vis.{module}"), name)
        method = kind(subject.model, clone=False)
        layer = subject.last_map

        def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
            # Score-CAM shows bars of its progress.
            with redirect_stdout(io.StringIO()):
                batches = [
                    method(
                        CategoricalScore(targets[i : i + 8].tolist()),
                        x[i : i + 8],
                        penultimate_layer=layer,
                        seek_penultimate_conv_layer=False,
                        **settings,
                    )
                    for i in range(0, len(x), 8)
                ]
            return _flat(np.concatenate(batches), True)

        return explain

    return make


def _tf_explain(subject: Subject) -> Callable:
    """Grad-CAM of tf-explain, which answers with a picture: here in grey, from which the map is
    read again."""
    import cv2
    from tf_explain.core.grad_cam import GradCAM

    def explain(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
        pictures = [
            GradCAM().explain(
                (image[None], None),
                subject.model,
                class_index=int(target),
                colormap=cv2.COLORMAP_BONE,
                image_weight=0,
            )
            for image, target in zip(x, targets, strict=True)
        ]
        return _flat(np.stack(pictures).astype(np.float32), True)

    return explain


def _flat(maps: np.ndarray, positive: bool) -> np.ndarray:
    maps = np.asarray(maps, np.float32)
    maps = np.maximum(maps, 0) if positive else np.abs(maps)
    return maps if maps.ndim == 3 else maps.sum(axis=-1)


def _patch(subject: Subject) -> int:
    return subject.size[0] // _PATCHES


PEERS = {
    "Grad-CAM (tf-keras-vis)": _tf_keras_vis("gradcam", "Gradcam"),
    "Grad-CAM++ (tf-keras-vis)": _tf_keras_vis("gradcam_plus_plus", "GradcamPlusPlus"),
    "LayerCAM (tf-keras-vis)": _tf_keras_vis("layercam", "Layercam"),
    "Faster Score-CAM (tf-keras-vis)": _tf_keras_vis("scorecam", "Scorecam", max_N=16),
    "Grad-CAM (Xplique)": _xplique("GradCAM", True, conv_layer=lambda s: s.last_map),
    "Grad-CAM (tf-explain)": _tf_explain,
    "gradient (Xplique)": _xplique("Saliency", False),
    "SmoothGrad (Xplique)": _xplique("SmoothGrad", False, nb_samples=_SAMPLES),
    "Integrated Gradients (Xplique)": _xplique("IntegratedGradients", False, steps=_STEPS),
    "occlusion (Xplique)": _xplique(
        "Occlusion", True, patch_size=_patch, patch_stride=lambda s: _patch(s) // 2
    ),
}
