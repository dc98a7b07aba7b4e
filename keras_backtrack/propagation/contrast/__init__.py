"""Where a question starts: from the output to the first nodes."""
