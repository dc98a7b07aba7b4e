"""What is asked of arguments, in the words that every refusal has."""
