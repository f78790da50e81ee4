"""Studies: models x data x seeds from a TOML file; statistics, tables, pictures, cards.

`keras-mtl init study.toml` writes a study that runs, and the module that loads its data. A study
file says what to train, on what, and how:

    base = "../common.toml"          # optional: a file below this one, key by key
    name = "ple"                     # optional: what tables call its model; else the name of the
                                     # folder of a `study.toml`, or of the file
    title = "PLE with two levels"    # optional: a line for headings
    seeds = [0]                      # optional: one run each; else 0, and 0 to 4 in `compare`

    [model]                          # a constructor of `keras_mtl.zoo` and its arguments
    name = "ple"
    levels = [1, 2]                  # a list where a value could stand: a grid
    expert_units = [64, 32]          # an argument that is a list itself: one value,
                                     # and a grid as a list of lists, [[64, 32], [128]]

    [baseline]                       # optional: trained beside it, scaled to its parameters
    name = "single_task"

    [against.wide_trunk]             # optional: further models to compare with, at their own size
    name = "shared_bottom"           # and otherwise trained alike; the label is what tables say
    bottom_units = [512]

    [data.census_income]             # the first data section is the default of `--data`
    source = "census_income"         # optional: the section's name is the default;
                                     # `package.module:function` loads data of your own
    tasks = ["income", { name = "marital", weight = 0.5 }]      # arguments of `Task`

    [data.census_income.features]    # arguments of `TabularFeatures`, and those of all its
    embedding_dim = 8                # columns of a kind: category, number, sequence
    number = { bins = 32, encoding = "bins+standard" }
    sequence = { max_length = 64, pooling = "none" }       # "none" is Python's None

    [data.census_income.model]       # model, baseline, against, compile, fit and selection
    dropout = 0.2                    # may be overridden for one data section

    [data.census_income.against.wide_trunk]
    bottom_units = [1024]

    [compile]                        # arguments of `compile`; Keras objects are tables with
                                     # a `class_name`, and a schedule that says no
                                     # `decay_steps` gets the steps of the whole run
    optimizer = { class_name = "Adam", learning_rate = 0.001 }

    [fit]                            # arguments of `fit`
    epochs = 6
    batch_size = 1024
    callbacks = [{ class_name = "TerminateOnNaN" }]

    [selection]                      # which epoch is kept, by the validation rows alone
    monitor = "val_mean"             # any `val_` figure, or the mean of the tasks' metrics
    patience = 2                     # optional: stop after so many epochs without progress

All other keys of a data section are arguments of its load function; one that takes a `seed` and
is given none gets the seed of the run, and one that takes a `data_dir` that of `--data-dir`. A key
that nothing takes is refused, with the nearest one that something does, and so is a value that its
argument, by annotation or default, cannot take. Where an argument may be None, the word "none" says
it.

`source = "package.module:function"` names a function that returns a `keras_mtl.datasets.Dataset`:
three `Split`s of columns and labels, and which columns are categories, numbers or lists. The module
is looked for beside the study file, then beside the files below it (`base`), in the working
directory, and among what is installed. The same holds for `class_name = "package.module:Class"`.

`keras-mtl run` and `compare` keep each run in a folder of its own. The same command goes on with an
interrupted study. A command that asks for the runs of an earlier one and for more, such as
`--seeds 5` after `--seeds 3`, trains only the new ones, in the same folder, and writes the tables
anew. Other settings begin a new folder; other rows do not, if the study file says nothing of them:
begin one with `--out`.

A column of lists, one a row, is a sequence (`Dataset.sequences`). Labels of its entries are (N, S)
with -1 for padding, S the sequences' `max_length`; they need a model that reads sequences, and
`pooling = "none"`.

Models with sparse experts log their load as `moe/LAYER/...`: the log of a run keeps every epoch,
`metrics.json` and `results.csv` that of the validation rows at the kept epoch, and `load.png` shows
it by layer and expert, in the study's folder and in the card.
"""
