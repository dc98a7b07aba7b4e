"""How mass goes back through what rules say: question × paths."""
