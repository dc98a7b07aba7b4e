"""Which maps are right: methods of explaining beside one another, on pictures with masks."""
