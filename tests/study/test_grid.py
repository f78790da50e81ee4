from keras_mtl.study.grid import variants
from keras_mtl.study.schema import Schema, schema_of


def architecture(
    levels: int = 2, expert_units=(64,), optimizer=None, callbacks: list | None = None
):
    """Stands for a constructor: one argument is a list by its default, one by its annotation."""


SCHEMA = schema_of(architecture)


def chosen(table):
    return list(variants(table, SCHEMA))


def test_no_list_is_one_variant_without_a_label():
    assert chosen({"levels": 3}) == [("", {"levels": 3})]


def test_a_list_of_values_is_a_grid():
    assert chosen({"levels": [1, 2]}) == [
        ("levels=1", {"levels": 1}),
        ("levels=2", {"levels": 2}),
    ]


def test_an_argument_that_is_a_list_needs_a_list_of_lists():
    assert chosen({"expert_units": [64, 32]}) == [("", {"expert_units": [64, 32]})]
    assert chosen({"expert_units": [[64, 32], [8]]}) == [
        ("expert_units=64-32", {"expert_units": [64, 32]}),
        ("expert_units=8", {"expert_units": [8]}),
    ]


def test_an_empty_list_argument_is_a_value():
    assert chosen({"expert_units": []}) == [("", {"expert_units": []})]


def test_grids_multiply_and_reach_into_keras_objects():
    table = {"levels": [1, 2], "optimizer": {"class_name": "Adam", "learning_rate": [0.1, 0.2]}}
    labels = [label for label, _ in chosen(table)]
    assert labels == [
        "levels=1 learning_rate=0.1",
        "levels=1 learning_rate=0.2",
        "levels=2 learning_rate=0.1",
        "levels=2 learning_rate=0.2",
    ]
    assert chosen(table)[3][1] == {
        "levels": 2,
        "optimizer": {"class_name": "Adam", "learning_rate": 0.2},
    }


def test_lists_of_tables_are_no_grids():
    callbacks = [{"class_name": "TerminateOnNaN"}]
    assert chosen({"callbacks": callbacks}) == [("", {"callbacks": callbacks})]


def test_a_schema_without_lists_treats_every_list_as_a_grid():
    open_schema = Schema(known=frozenset({"a"}))
    assert [table["a"] for _, table in variants({"a": [[1], [2]]}, open_schema)] == [[1], [2]]


def test_the_word_none_is_none_alone_and_in_a_grid():
    assert chosen({"levels": ["none", 2]}) == [
        ("levels=none", {"levels": None}),
        ("levels=2", {"levels": 2}),
    ]
    assert chosen({"optimizer": {"class_name": "Adam", "clipnorm": "none"}})[0][1] == {
        "optimizer": {"class_name": "Adam", "clipnorm": None}
    }
