from keras_mtl.study.tables import markdown_table, number, signed, text_table


def test_numbers_stand_right_and_words_left():
    table = text_table(["model", "auc"], [["ple", "0.95"], ["single_task", "10.5"]])
    assert table.splitlines() == [
        "model         auc",
        "-----------------",
        "ple          0.95",
        "single_task  10.5",
    ]


def test_a_column_with_a_word_is_words():
    lines = text_table(["a", "b"], [["1", "long"], ["22", "x"]]).splitlines()
    assert lines[2:] == [" 1  long", "22  x"]


def test_markdown_has_a_rule_and_every_row():
    lines = markdown_table(["task", "auc"], [["a", "0.1"], ["b", "0.2"]]).splitlines()
    assert lines == ["| task | auc |", "|---|---:|", "| a | 0.1 |", "| b | 0.2 |"]


def test_figures():
    assert number(0.12345) == "0.1235"
    assert signed(0.0) == "+0.0000"
    assert number(float("nan")) == signed(float("nan")) == "-"
