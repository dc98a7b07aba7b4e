"""All paths where maps are small, the best ones from there to the pixels."""
