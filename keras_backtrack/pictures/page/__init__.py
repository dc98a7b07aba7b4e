"""The page to explore an explanation with, and its small version for notebooks."""

from .cards import Picture, pictures_of
from .html import fragment, page, shown

__all__ = ["Picture", "fragment", "page", "pictures_of", "shown"]
