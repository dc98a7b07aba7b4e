"""What explaining costs: time and memory, here and on other hosts."""
