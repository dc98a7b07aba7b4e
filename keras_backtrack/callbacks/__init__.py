"""What a network looks at while it trains."""

from .callback import BacktrackCallback
from .record import Record

__all__ = ["BacktrackCallback", "Record"]
