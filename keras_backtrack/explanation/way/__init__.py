"""The way down of a decision, taken again: layers, nodes, what ties them, what they see."""
