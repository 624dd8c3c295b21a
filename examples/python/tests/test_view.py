"""What a program changed."""

import unittest
from datetime import date

from waddle_client import NotStorable, View


class ViewTest(unittest.TestCase):
    def test_changes(self) -> None:
        for name, before, after, changed, removed in [
            ("nothing", {"a": 1}, {"a": 1}, {}, []),
            ("a new key", {}, {"a": None}, {"a": None}, []),
            ("another value", {"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 3}, []),
            ("a key less", {"a": 1, "b": 2}, {"b": 2}, {}, ["a"]),
            ("an item of a list", {"a": [1, [2]]}, {"a": [1, [3]]}, {"a": [1, [3]]}, []),
            ("the order of a list", {"a": [1, 2]}, {"a": [2, 1]}, {"a": [2, 1]}, []),
            (
                "the order of keys is none",
                {"a": {"x": 1, "y": 2}},
                {"a": {"y": 2, "x": 1}},
                {},
                [],
            ),
            ("1 is not true", {"a": 1}, {"a": True}, {"a": True}, []),
            ("1 is not 1.0", {"a": 1}, {"a": 1.0}, {"a": 1.0}, []),
            ("a tuple is a list", {"a": [1]}, {"a": (1,)}, {}, []),
            ("large numbers", {"a": 2**63}, {"a": 2**63 + 1}, {"a": 2**63 + 1}, []),
            ("what Python has no number for", {"a": float("inf")}, {"a": float("inf")}, {}, []),
        ]:
            with self.subTest(name):
                self.assertEqual(View(before).changes(after), (changed, removed))

    def test_values_inside_values(self) -> None:
        values = {"cart": {"figs": 1}}
        view = View(values)
        values["cart"]["figs"] = 2
        self.assertEqual(view.changes(values), ({"cart": {"figs": 2}}, []))

    def test_what_cannot_be_stored(self) -> None:
        endless: list = []
        endless.append(endless)
        deep: list = []
        for _ in range(100_000):
            deep = [deep]
        for value in [
            date(2026, 12, 24),
            {1, 2},
            b"bytes",
            float("nan"),
            float("inf"),
            "\ud800",
            endless,
            deep,
            [object()],
        ]:
            with self.subTest(type(value)):
                with self.assertRaisesRegex(NotStorable, "'when'"):
                    View({}).changes({"fine": 1, "when": value})
        for key in [1, None, ("a",), "\ud800"]:
            with self.subTest(key=key):
                with self.assertRaises(NotStorable):
                    View({}).changes({key: 1})


if __name__ == "__main__":
    unittest.main()
