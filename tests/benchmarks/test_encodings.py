"""The comparison of encodings of numbers, on rows that are made up."""

import csv
import math
from dataclasses import replace
from statistics import NormalDist

import keras
import numpy as np
import pytest

from benchmarks import encodings, encodings_data
from benchmarks.encodings_data import PATIENT, SCORES, SEX, parkinsons
from benchmarks.encodings_layers import (
    ENCODINGS,
    Periodic,
    PiecewiseLinear,
    knots,
    normal_scores,
    position,
)
from keras_mtl.features import Numeric, TabularFeatures

PATIENTS, EACH, VOICES = 10, 12, 4


def made_up_columns():
    rng = np.random.default_rng(0)
    rows = PATIENTS * EACH
    columns = {
        PATIENT: np.repeat(np.arange(1.0, PATIENTS + 1), EACH),
        SEX: rng.integers(2, size=rows),
    }
    columns |= {f"voice_{v}": rng.lognormal(size=rows) for v in range(VOICES)}
    columns |= {
        name: 20 + 5 * np.log(columns["voice_0"]) + rng.normal(size=rows) for name in SCORES
    }
    return columns


def write_rows(folder):
    columns = made_up_columns()
    path = folder / "parkinsons" / "parkinsons_updrs.data"
    path.parent.mkdir()
    lines = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def pieces_of_the_paper(number, ends):
    """Gorishniy et al., equation 1, as it stands, for a number within the outermost knots."""
    count = len(ends) - 1
    entries = []
    for t in range(1, count + 1):
        low, high = ends[t - 1], ends[t]
        if number < low and t > 1:
            entries.append(0.0)
        elif number >= high and t < count:
            entries.append(1.0)
        else:
            entries.append((number - low) / (high - low))
    return np.array(entries)


@pytest.mark.parametrize("activation", [None, "relu"])
def test_piecewise_linear_is_the_papers_equation(activation):
    ends = [np.array([-2.0, -1.0, 0.5, 4.0]), np.array([10.0, 12.0])]  # three pieces and one
    numbers = np.array([[-2.0, 10.0], [-1.0, 11.0], [0.3, 11.5], [3.0, 12.0], [4.0, 10.2]])
    layer = PiecewiseLinear([3, 1], dim=2, activation=activation)
    positions = np.stack([position(numbers[:, n], ends[n]) for n in range(2)], axis=-1)
    vectors = keras.ops.convert_to_numpy(layer(positions.astype("float32")))
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in layer.weights)
    kernels = [kernel[:3], kernel[3:]]
    for row, own in enumerate(numbers):
        expected = np.concatenate(
            [pieces_of_the_paper(own[n], ends[n]) @ kernels[n] + bias[n] for n in range(2)]
        )
        expected = np.maximum(expected, 0) if activation else expected
        np.testing.assert_allclose(vectors[row], expected, atol=1e-6)


def test_numbers_beyond_the_knots_count_as_these():
    ends = np.array([0.0, 1.0, 3.0])
    assert position(np.array([-5.0, 2.0, 9.0]), ends).tolist() == [0.0, 1.5, 2.0]


def test_pieces_are_the_bins_of_the_package():
    numbers = np.concatenate([np.zeros(60), np.random.default_rng(0).normal(size=140)])
    table = TabularFeatures([Numeric("x", bins=16, encoding="bins")]).adapt({"x": numbers})
    ids = table.encode({"x": numbers})["categorical"][:, 0]
    ends = knots(numbers, 16)
    assert len(ends) == 17
    within = numbers < numbers.max()
    pieces = np.floor(position(numbers, ends)).astype(int)
    np.testing.assert_array_equal(pieces[within], ids[within] - 1)


def test_periodic_is_the_papers_formula():
    layer = Periodic(columns=2, sigma=0.5, frequencies=3, dim=4)
    numbers = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    vectors = keras.ops.convert_to_numpy(layer(numbers))
    rates, kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in layer.weights)
    for row, own in enumerate(numbers):
        for n in range(2):
            v = 2 * math.pi * rates[n] * own[n]
            expected = np.maximum(np.concatenate([np.sin(v), np.cos(v)]) @ kernel[n] + bias[n], 0)
            np.testing.assert_allclose(vectors[row, 4 * n : 4 * n + 4], expected, atol=1e-5)


def test_normal_scores_are_normal_quantiles_of_ranks():
    among = np.array([5.0, 1.0, 1.0, 9.0])
    scores = normal_scores(np.array([0.0, 1.0, 5.0, 7.0, 9.0, 99.0]), among)
    ranks = [1e-4, 0.25, 0.625, 0.75, 0.875, 1 - 1e-4]
    np.testing.assert_allclose(scores, [NormalDist().inv_cdf(rank) for rank in ranks], rtol=1e-3)


def test_models_of_all_encodings_have_the_budget():
    problem = parkinsons(made_up_columns(), by_patient=False, seed=0)
    parameters = {
        name: encodings.build(problem, ENCODINGS[name](problem), 0)[1]
        for name in ("standard", "bins+standard", "piecewise linear", "periodic 0.5")
    }
    assert all(0.94 * problem.budget <= count <= problem.budget for count in parameters.values())
    assert len(set(parameters.values())) > 1


def test_a_budget_out_of_reach_is_told():
    problem = replace(parkinsons(made_up_columns(), by_patient=False, seed=0), budget=100)
    with pytest.raises(
        ValueError, match=r"94 to 100 % of 100 parameters. Received: [\d,]+ with 1 units"
    ):
        encodings.build(problem, ENCODINGS["periodic 0.5"](problem), 0)


@pytest.mark.parametrize("by_patient", [False, True])
def test_sixty_and_twenty_percent_are_drawn(by_patient):
    columns = made_up_columns()
    groups = columns[PATIENT] if by_patient else np.arange(PATIENTS * EACH)
    train, valid = encodings_data.divide(groups, seed=3)
    assert (len(train), len(valid)) == (0.6 * len(groups), 0.2 * len(groups))
    assert not set(groups[train]) & set(groups[valid])
    other, _ = encodings_data.divide(groups, seed=4)
    assert set(train) != set(other)
    problem = parkinsons(columns, by_patient, seed=3)
    labels = problem.train.labels["motor_UPDRS"]
    np.testing.assert_allclose([labels.mean(), labels.std()], [0, 1], atol=1e-5)
    assert PATIENT not in problem.train.columns


def test_a_run_trains_prints_a_table_and_keeps_figures(tmp_path, capsys):
    write_rows(tmp_path)
    folders = ["--data-dir", str(tmp_path), "--out", str(tmp_path / "out")]
    chosen = ["--data", "parkinsons_patients", "--encoding", "periodic 0.1"]
    assert encodings.main([*chosen, *folders, "--seeds", "1"]) == 0
    table = capsys.readouterr().out
    assert "minus standard" in table
    with (tmp_path / "out" / "encodings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["contender"] for row in rows} == {"periodic 0.1"}
    values = {row["measure"]: float(row["value"]) for row in rows}
    errors = [values[name] for name in SCORES]
    assert values["mean"] == pytest.approx(np.mean(errors), abs=1e-5)
    assert 1 <= values["best epoch"] <= 8
    assert 18_800 <= values["parameters"] <= 20_000
    assert {(r["rows"], r["rounds"], r["seed"], r["model"]) for r in rows} == {
        ("72", "8", "0", "ple")
    }
    assert all(row["date"] and "tensorflow==" in row["versions"] for row in rows)
    assert encodings.main(["--table", *folders]) == 0
    assert capsys.readouterr().out == table


def test_differences_are_paired_by_seed():
    lines = [
        {
            "data": "d",
            "measure": measure,
            "unit": unit,
            "contender": name,
            "seed": seed,
            "value": value,
        }
        for name, errors in {"standard": [1.0, 2.0], "bins": [0.8, 1.6]}.items()
        for seed, error in enumerate(errors)
        for measure, unit, value in (("t", "mse", error), ("parameters", "", 10))
    ]
    row = encodings.report(lines).splitlines()[3].split()
    assert row[4:] == ["bins", "10", "2", "1.2000", "0.5657", "-0.3000", "[-1.5706,", "+0.9706]"]


def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path, capsys):
    def told(*arguments):
        assert encodings.main([*arguments, "--data", "parkinsons_patients"]) == 1
        return capsys.readouterr().err

    nowhere = str(tmp_path / "nowhere")
    assert "must name a folder that holds parkinsons/" in told("--data-dir", nowhere)
    assert "must have lines on parkinsons_patients" in told("--table", "--out", nowhere)
    path = write_rows(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("motor_UPDRS", "score"))
    assert "must name the columns subject#, sex, motor_UPDRS" in told("--data-dir", str(tmp_path))
    path.write_text(text + "1,2,three\n")
    assert "must hold 8 numbers a line below its names" in told("--data-dir", str(tmp_path))


def test_missing_numbers_are_told():
    problem = parkinsons(made_up_columns(), by_patient=False, seed=0)
    problem.train.columns["voice_1"][0] = np.nan
    with pytest.raises(ValueError, match=r"missing values by column \{'voice_1': 1\}"):
        ENCODINGS["piecewise linear"](problem)
