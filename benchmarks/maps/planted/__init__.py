"""Scenes made to order: where the evidence lies is known, since it was put there."""
