"""Puts a page together: one HTML file with everything in it."""

import html
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

from ...runtime.version import __version__
from .cards import Picture, details, overview

# What nodes may take in a page of one picture, and in a page of many altogether; in bytes before
# base64 makes four of three.
_NODES_OF_ONE, _NODES_OF_ALL, _LEAST_NODES = 800_000, 8_000_000, 60_000
# Pixels of the longer side that photos are shown with at most.
LONGEST_OF_ONE, LONGEST_OF_MANY, LONGEST_IN_NOTEBOOK = 1000, 640, 400

_SCRIPTS = ("arrays", "maps", "dom", "stage", "walk", "view", "gallery", "start")


class PageEntry(NamedTuple):
    """What a page has of a picture: what is listed of it, and its arrays."""

    listed: dict
    details: dict


def entry(picture: Picture, count: int) -> PageEntry:
    """Takes out of an explanation what a page shows.

    Args:
        picture: The picture.
        count: How many pictures there are on the page; the more, the less of each.
    """
    if count == 1:
        return PageEntry(overview(picture, LONGEST_OF_ONE), details(picture, _NODES_OF_ONE))
    budget = min(_NODES_OF_ONE, max(_NODES_OF_ALL // count, _LEAST_NODES))
    return PageEntry(overview(picture, LONGEST_OF_MANY), details(picture, budget))


def page(entries: Sequence[PageEntry], title: str) -> str:
    """A page that a browser opens without a network: one picture, or a gallery of several.

    Args:
        entries: What to show.
        title: Of the page.

    Returns:
        The HTML.
    """
    return _fill(
        _read("page.html"),
        title=html.escape(title),
        version=__version__,
        style=_read("page.css"),
        data=_data(entries, title),
        script=_script(),
    )


def fragment(pictures: Sequence[Picture]) -> str:
    """The page's small version for a notebook: layers and sliders, without the network.

    It needs no ids and no network. Where scripts do not run, the first photo is seen with its
    attention.
    """
    entries = [PageEntry(overview(p, LONGEST_IN_NOTEBOOK), details(p, None)) for p in pictures]
    return _fill(
        _read("fragment.html"),
        still=pictures[0].still(LONGEST_IN_NOTEBOOK),
        alt=html.escape(pictures[0].alt),
        style=_read("page.css"),
        data=_data(entries, ""),
        script=_script(),
    )


def _data(entries: Sequence[PageEntry], title: str) -> str:
    listed = _block("listed", {"title": title, "pictures": [each.listed for each in entries]})
    return "\n".join([listed, *(_block("details", each.details) for each in entries)])


def _script() -> str:
    parts = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    return f"(() => {{\n'use strict';\n{parts}}})();"


def _block(kind: str, values: dict) -> str:
    """Data for the page's scripts; nothing in it can end the element it is in."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" class="{kind}">{text}</script>'


@cache
def _read(name: str) -> str:
    folder = resources.files(__package__).joinpath("web")
    return folder.joinpath(name).read_text(encoding="utf-8")


def _fill(template: str, **parts: str) -> str:
    for name, text in parts.items():
        template = template.replace(f"<!--{name}-->", text)
    return template
