"""From points and mass to what people see: NumPy only, nothing of the network."""
