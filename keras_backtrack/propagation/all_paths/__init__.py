"""All paths at once: what forward-backward is to Viterbi."""
