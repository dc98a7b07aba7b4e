"""The question: inputs, targets and batches."""
