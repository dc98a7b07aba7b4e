"""Puts a page together: one HTML file with everything in it."""

import html
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources

from ..version import __version__
from .pictures import Picture, details, overview

# What nodes may take in a page of one picture, and in a page of many altogether; in bytes before
# base64 makes four of three.
_NODES_OF_ONE, _NODES_OF_ALL, _LEAST_NODES = 800_000, 8_000_000, 60_000
_LONGEST_OF_ONE, _LONGEST_OF_MANY = 1000, 640

_SCRIPTS = ("arrays", "maps", "dom", "stage", "walk", "view", "gallery", "start")


def page(pictures: Sequence[Picture], title: str) -> str:
    """A page that a browser opens without a network: one picture, or a gallery of several.

    Args:
        pictures: What to show.
        title: Of the page.

    Returns:
        The HTML.
    """
    alone = len(pictures) == 1
    share = max(_NODES_OF_ALL // len(pictures), _LEAST_NODES)
    budget = _NODES_OF_ONE if alone else min(_NODES_OF_ONE, share)
    longest = _LONGEST_OF_ONE if alone else _LONGEST_OF_MANY
    listed = {"title": title, "pictures": [overview(p, longest) for p in pictures]}
    blocks = [_block("listed", listed)]
    blocks += [_block("details", details(p, budget)) for p in pictures]
    return _fill(
        _read("page.html"),
        title=html.escape(title),
        version=__version__,
        style=_read("page.css"),
        data="\n".join(blocks),
        script=_script(),
    )


def fragment(pictures: Sequence[Picture]) -> str:
    """The page's small version for a notebook: layers and sliders, without the network.

    It needs no ids and no network. Where scripts do not run, the photo with its attention is seen.
    """
    listed = {"title": "", "pictures": [overview(p, 480) for p in pictures]}
    return _fill(
        _read("fragment.html"),
        still=pictures[0].still(320),
        alt=html.escape(pictures[0].alt),
        data=_block("listed", listed)
        + "".join(_block("details", details(p, None)) for p in pictures),
        style=_read("page.css"),
        script=_script(),
    )


def _script() -> str:
    parts = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    return f"(() => {{\n'use strict';\n{parts}}})();"


def _block(kind: str, values: dict) -> str:
    """Data for the page's scripts; nothing in it can end the element it is in."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" class="{kind}">{text}</script>'


@cache
def _read(name: str) -> str:
    folder = resources.files("keras_backtrack").joinpath("report/web")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _fill(template: str, **parts: str) -> str:
    for name, text in parts.items():
        template = template.replace(f"<!--{name}-->", text)
    return template
