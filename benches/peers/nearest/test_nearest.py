"""What needs nothing but Python's own library: `python3 -m unittest discover benches/peers/nearest`."""

import array
import unittest

import curve
import words


class Curve(unittest.TestCase):
    def test_speed_between_two_points_lies_on_a_line_of_its_logarithm(self):
        """The tables would state a speed that nothing measured comes near."""
        points = [(0.9, 1000.0), (1.0, 10.0)]
        self.assertAlmostEqual(curve.qps_at(points, 0.95), 100.0)
        self.assertAlmostEqual(curve.qps_at(points, 1.0), 10.0)
        self.assertAlmostEqual(curve.qps_at(points, 0.9), 1000.0)

    def test_nothing_is_made_up_beyond_what_was_measured(self):
        """A peer that never reaches a recall would have a speed there, or an exact search one below its own."""
        self.assertIsNone(curve.qps_at([(0.9, 1000.0), (0.95, 100.0)], 0.96))
        self.assertEqual(curve.qps_at([(1.0, 50.0)], 0.96), 50.0)
        self.assertIsNone(curve.qps_at([], 0.96))

    def test_a_setting_that_another_beats_in_both_does_not_count(self):
        """Of a grid of settings, one that nobody would choose would slow a peer down."""
        points = [(0.9, 100.0), (0.95, 300.0), (0.97, 200.0), (0.96, 50.0), (0.95, 250.0)]
        self.assertEqual(curve.frontier(points), [(0.95, 300.0), (0.97, 200.0)])
        self.assertEqual(curve.qps_at(points, 0.9), 300.0)


class Words(unittest.TestCase):
    def test_a_vector_comes_once_in_the_order_of_the_words_without_what_stands_behind_it(self):
        """Rows that are alike would be each other's neighbours, and a length would be a component."""
        one, two = [0.5] * 100, [0.25] * 100
        vectors = {"b": [*two, 2.5, 0], "a": [*one, 5.0, 1], "c": [*two, 2.5, 2]}
        self.assertEqual(words.distinct(["b", "a", "c"], vectors),
                         [array.array("f", two).tobytes(), array.array("f", one).tobytes()])


if __name__ == "__main__":
    unittest.main()
