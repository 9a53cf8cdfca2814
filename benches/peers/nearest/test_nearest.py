"""What needs nothing but Python's own library: `python3 -m unittest discover benches/peers/nearest`."""

import array
import json
import pathlib
import tempfile
import unittest
import unittest.mock

import curve
import report
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

    def test_batches_are_asked_with_the_settings_around_each_recall(self):
        """A speed in batches would rest on settings that have nothing to do with its recall, or all of them would be asked again."""
        measured = [
            {"setting": name, "recall": recall, "qps": qps}
            for name, recall, qps in [
                ("a", 0.9, 90.0), ("b", 0.95, 80.0), ("c", 0.97, 70.0), ("beaten", 0.965, 60.0), ("d", 0.985, 50.0), ("e", 0.995, 40.0)
            ]
        ]
        self.assertEqual(curve.around(measured, [0.96, 0.99]), ["b", "c", "d", "e"])
        self.assertEqual(curve.around(measured[:5], [0.96, 0.99]), ["b", "c"], "nothing that isn't reached is asked for")
        self.assertEqual(curve.around(measured[5:], [0.96, 0.99]), ["e"], "nothing is below the least")
        self.assertEqual(curve.around([], [0.96]), [])


class Report(unittest.TestCase):
    MACHINE = "a processor, 2 threads, 3 GiB, Linux 6.1, ext4"

    def result(self, **other):
        point = {"setting": {"ef": 10}, "recall": 0.97, "qps": 100.0}
        return {
            "name": "hnswlib", "version": "1", "checksum": "c", "machine": self.MACHINE, "measured_s": 0, "build": {"cpu_s": 1.0},
            "disk_bytes": 3, "raw_bytes": 2, "curve": [point], "batches": [], "plain_scan_ms": [9.6, 12.4], **other,
        }

    def results(self, folder, kept=None, measured=None, failed=None):
        """What the report finds of one peer, by its speed and why it isn't there."""
        place, results = pathlib.Path(folder) / "set-1", pathlib.Path(folder) / "results"
        (results / "set-1").mkdir(parents=True)
        place.mkdir()
        engine = self.result(name="Strongroom")
        about = {"name": "set", "rows": 1, "dimension": 2, "checksum": "c", "machine": self.MACHINE}
        for path, content in [
            (place / "set.json", about), (place / "engine.json", engine), (place / "hnswlib.peer.json", measured),
            (place / "hnswlib.failed.json", failed), (results / "set-1" / "hnswlib.json", kept),
        ]:
            if content:
                path.write_text(json.dumps(content))
        with unittest.mock.patch.object(report, "KEPT", results):
            _, found, failed = report.results(place)
        return [one["curve"][0]["qps"] for one in found[1:]], [one["why"] for one in failed]

    def found(self, **what):
        with tempfile.TemporaryDirectory() as folder:
            return self.results(folder, **what)

    def test_a_kept_result_stands_in_until_the_peer_is_measured(self):
        """The engine couldn't be measured anew without hours of its peers; or old figures would hide new ones."""
        kept, new = self.result(), self.result(curve=[{"setting": {}, "recall": 0.9, "qps": 7.0}])
        self.assertEqual(self.found(kept=kept), ([100.0], []))
        self.assertEqual(self.found(kept=kept, measured=new), ([7.0], []))
        self.assertEqual(self.found(kept=kept, measured=self.result(checksum="old")), ([100.0], []))
        why = {"name": "hnswlib", "checksum": "c", "why": "no wheel"}
        self.assertEqual(self.found(kept=kept, failed=why), ([], ["no wheel"]))

    def test_what_other_vectors_or_another_machine_took_does_not_stand_in(self):
        """The table would compare what can't be compared."""
        self.assertEqual(self.found(kept=self.result(checksum="other")), ([], []))
        self.assertEqual(self.found(kept=self.result(machine=self.MACHINE.replace("2 threads", "8 threads"))), ([], []))
        self.assertEqual(self.found(kept=self.result(machine=self.MACHINE.replace("6.1", "6.2"))), ([100.0], []))

    def test_a_row_tells_when_it_was_measured_and_how_fast_the_machine_was(self):
        """Figures of a slow hour would look like those of a slow program."""
        about = {"name": "set", "rows": 1, "dimension": 2}
        row = report.comparison(about, [self.result()], [])[4]
        self.assertEqual(row, "| hnswlib 1 | 100 | – | – | – | 1.0 | 1.50 | 0.9700 | 01 Jan 00:00 | 9.6 to 12.4 |")

    def test_a_kept_result_reads_back_as_it_was(self):
        """What was measured for hours would be of no use afterwards."""
        self.assertEqual(json.loads(report.as_text(self.result())), self.result())


class Words(unittest.TestCase):
    def test_a_vector_comes_once_in_the_order_of_the_words_without_what_stands_behind_it(self):
        """Rows that are alike would be each other's neighbours, and a length would be a component."""
        one, two = [0.5] * 100, [0.25] * 100
        vectors = {"b": [*two, 2.5, 0], "a": [*one, 5.0, 1], "c": [*two, 2.5, 2]}
        self.assertEqual(words.distinct(["b", "a", "c"], vectors),
                         [array.array("f", two).tobytes(), array.array("f", one).tobytes()])


if __name__ == "__main__":
    unittest.main()
