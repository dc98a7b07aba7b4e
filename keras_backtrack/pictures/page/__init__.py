"""The page to explore an explanation with, and its small version for notebooks."""

from .cards import Picture, pictures_of
from .html import PageEntry, entry, fragment, page

__all__ = ["PageEntry", "Picture", "entry", "fragment", "page", "pictures_of"]
