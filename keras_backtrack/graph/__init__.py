"""A Keras model as a flat list of calls; nothing here knows a rule."""
