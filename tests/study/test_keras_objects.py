import keras
import pytest

from keras_mtl.study.keras_objects import class_of, make

COSINE = {"class_name": "CosineDecay", "initial_learning_rate": 0.1}


def test_a_schedule_gets_the_length_of_training():
    adam = make({"class_name": "Adam", "learning_rate": COSINE}, {"decay_steps": 10})
    adam.build([keras.Variable(0.0)])
    adam.iterations.assign(10)
    assert float(adam.learning_rate) == pytest.approx(0.0, abs=1e-6)


def test_what_the_file_says_wins_over_what_training_says():
    assert make({**COSINE, "decay_steps": 7}, {"decay_steps": 10}).decay_steps == 7


def test_values_that_are_no_objects_stay():
    assert make({"loss_weights": {"a": 2.0}, "jit_compile": True}, {"decay_steps": 1}) == {
        "loss_weights": {"a": 2.0},
        "jit_compile": True,
    }


def test_an_unknown_class_and_an_unknown_argument_name_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'CosineDecay'"):
        class_of("CosinDecay")
    with pytest.raises(ValueError, match="Did you mean 'learning_rate'"):
        make({"class_name": "Adam", "learning_rat": 0.1}, {})


def test_arguments_of_the_base_class_are_known():
    assert make({"class_name": "Adam", "clipnorm": 1.0}, {}).clipnorm == 1.0


def test_a_class_of_ones_own():
    layer = make({"class_name": "keras.layers:Dense", "units": 3}, {})
    assert layer.units == 3
