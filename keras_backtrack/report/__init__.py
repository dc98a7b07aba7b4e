"""The page to explore an explanation with, and its small version for notebooks."""

from .page import fragment, page, shown
from .pictures import Picture, pictures_of

__all__ = ["Picture", "fragment", "page", "pictures_of", "shown"]
