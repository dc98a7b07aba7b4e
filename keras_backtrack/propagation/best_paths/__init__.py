"""The best paths: Algorithms 1 to 3, as Viterbi walks its back-pointers."""
