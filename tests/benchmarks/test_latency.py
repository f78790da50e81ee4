"""Latency: requests that differ, answers that are checked, asked next to measured."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import data, latency, latency_worker
from benchmarks.contenders import SERVED_DEEPCTR, SERVED_PACKED, SERVED_RAW, SERVERS
from benchmarks.figures import Figure, Origin, append_csv
from benchmarks.raw_rows import RawRows
from benchmarks.readme import write_readme
from benchmarks.setting import Setting
from benchmarks.workload import Sizes
from keras_mtl.study.cards import BEGIN, END

ORIGIN = Origin("2026-01-01", 0, "synthetic", 8, 1, "cpu", 2, "3.11")
SIZES = Sizes(batch_size=8, num_experts=2, expert_units=(4,), tower_units=(3,))


class Echo:
    """Answers with what `make_answer` makes of the number of rows; remembers the requests."""

    def __init__(self, make_answer):
        self.make_answer = make_answer
        self.asked = []

    def request(self, rows):
        return rows

    def answer(self, request):
        self.asked.append(request)
        return [self.make_answer(request.stop - request.start)]


def test_requests_differ_and_stay_within_the_rows():
    server = Echo(lambda rows: np.zeros((rows, 1)))
    assert len(latency_worker.answer_times(server, available=12, rows=3, requests=20)) == 20
    assert {request.start for request in server.asked} == {0, 3, 6, 9}


def test_a_slow_server_answers_fewer_requests(monkeypatch):
    monkeypatch.setattr(latency_worker, "ENOUGH_SECONDS", 0.0)
    server = Echo(lambda rows: np.zeros((rows, 1)))
    times = latency_worker.answer_times(server, available=12, rows=3, requests=1000)
    assert len(times) == latency_worker.AT_LEAST


@pytest.mark.parametrize("wrong", [np.zeros((2, 1)), np.full((3, 1), np.nan)])
def test_a_wrong_answer_is_no_measurement(wrong):
    with pytest.raises(ValueError, match="finite prediction for each of 3 rows"):
        latency_worker.answer_times(Echo(lambda rows: wrong), available=12, rows=3, requests=1)


def test_raw_rows_survive_their_folder(tmp_path):
    columns = {"city": np.array(["Zürich", None], object), "age": np.array([1.5, np.nan], "f")}
    RawRows.of(columns).write(tmp_path)
    read = RawRows.read(tmp_path).columns
    assert read["city"].tolist() == ["Zürich".encode(), b""]
    np.testing.assert_array_equal(read["age"], columns["age"])


def test_too_few_rows_for_a_request_get_a_sentence(tmp_path):
    split = data.load("synthetic", None, rows=5, seed=0)
    setting = Setting(split, data.encode(split, SIZES), tmp_path, SERVERS, {}, rounds=1)
    with pytest.raises(ValueError, match=r"up to 512 rows\. Received: 5 rows"):
        latency.run(setting)


def test_ratios_are_those_of_medians_of_one_round():
    # In the second round the machine is ten times slower: its ratio is as good as any.
    ours = {1: [[0.001, 0.001, 9.0], [0.010, 0.010, 0.010], [0.001, 0.001, 0.001]]}
    theirs = {1: [[0.002, 0.002, 0.002], [0.020, 0.020, 0.020], [0.004, 0.004, 0.004]]}
    raw = {1: [[0.003]] * 3}
    times = {SERVED_PACKED: ours, SERVED_DEEPCTR: theirs, SERVED_RAW: raw}
    lines = [line.split() for line in latency.report(times).splitlines()]
    assert [line[-4:] for line in lines if "export," in line] == [["0.50", "<=", "0.6", "met"]]
    assert [line[-4:] for line in lines if "packed," in line] == [["3.00", "<=", "2.5", "missed"]]
    assert latency.milliseconds([[0.001] * 99, [0.1]]) == (1.0, pytest.approx(1.99))


def test_the_readme_shows_latencies_and_steps(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\nold\n{END}\n")
    figures = latency.figures({SERVED_RAW: {32: [[0.001, 0.002, 0.003]]}}, {SERVED_RAW: ""})
    append_csv(tmp_path / "latency.csv", figures, ORIGIN)
    steps = [Figure("scaling", n, "step, 2 tasks", v, "ms") for n, v in (("a", 1.5), ("b", 2))]
    append_csv(tmp_path / "scaling.csv", steps, ORIGIN)
    write_readme(readme, tmp_path)
    text = readme.read_text()
    assert "| median, batch 32 | 2.00 |" in text
    assert "| 2 tasks | 1.50 | 2.00 |" in text


@pytest.mark.slow
def test_ours_answers_alike_by_both_signatures_and_is_measured(tmp_path, monkeypatch):
    from benchmarks.peers import keras_mtl_served

    split = data.load("synthetic", None, rows=40, seed=0)
    work = data.encode(split, SIZES)
    work.write(tmp_path)
    ours = [entry for entry in SERVERS if entry.package == "keras_mtl"]
    away = replace(SERVERS[-1], needs="no_such_package")
    monkeypatch.setattr(latency, "REQUESTS", {1: 3, 4: 2})
    times, versions = latency.measure(Setting(split, work, tmp_path, [*ours, away], {}, rounds=2))
    assert {n: [len(r) for r in t.values()] for n, t in times.items()} == {
        SERVED_PACKED: [2, 2],
        SERVED_RAW: [2, 2],
    }
    assert len(latency.figures(times, versions)) == 2 * 2 * 2
    assert "tensorflow==" in versions[SERVED_RAW]
    (again := tmp_path / "again").mkdir()
    RawRows.of(split.columns).write(again)
    packed, raw = (
        keras_mtl_served.make(work, again, signature=name) for name in ("packed", "serving_default")
    )
    for one, other in zip(*(s.answer(s.request(slice(0, 40))) for s in (packed, raw)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
