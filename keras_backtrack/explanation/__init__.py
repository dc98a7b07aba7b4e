"""The result: views on it, its files, and the way down through the network."""
