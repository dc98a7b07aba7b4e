"""Contenders take turns, and what is made of their times."""

from benchmarks.speed.timing import alternate, summary


def test_contenders_take_turns():
    ran = []
    times = alternate({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, 3, warm_up=1)
    assert "".join(ran) == "ab" + "ab" + "ba" + "ab"
    assert {name: len(t) for name, t in times.items()} == {"a": 3, "b": 3}
    assert summary([3.0, 1.0, 2.0]) == {"median": 2.0, "q1": 1.5, "q3": 2.5}
