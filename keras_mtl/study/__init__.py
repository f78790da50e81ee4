"""Studies: models x data x seeds from a TOML file; statistics, tables, pictures, cards.

A study file says what to train, on what, and how:

    base = "../common.toml"          # optional: a file below this one, key by key
    title = "PLE with two levels"    # optional: a line for headings
    seeds = [0]                      # optional: one run each

    [model]                          # a constructor of `keras_mtl.zoo` and its arguments
    name = "ple"
    levels = [1, 2]                  # a list where a value could stand: a grid
    expert_units = [64, 32]          # an argument that is a list itself: one value,
                                     # and a grid as a list of lists, [[64, 32], [128]]

    [baseline]                       # optional: trained beside it, scaled to its parameters
    name = "single_task"

    [data.census_income]             # the first data section is the default of `--data`
    source = "census_income"         # optional: the section's name is the default;
                                     # `package.module:function` loads your own `Dataset`
    tasks = ["income", { name = "marital", weight = 0.5 }]      # arguments of `Task`

    [data.census_income.features]    # arguments of `TabularFeatures`, of every category
    embedding_dim = 8                # (`category = {...}`) and number (`number = {...}`)
    number = { bins = 64 }

    [data.census_income.model]       # model, baseline, compile, fit and selection may be
    dropout = 0.2                    # overridden for one data section

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
is given none gets the seed of the run. A key that nothing takes is refused, with the nearest one
that something does.
"""
