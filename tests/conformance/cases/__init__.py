"""All cases: one place to add one, and every guarantee runs over it."""

from tests.conformance.cases import constructors, layers, sources, tables, tasks

CASES = [
    *layers.cases(),
    *constructors.cases(),
    *tables.cases(),
    *tasks.cases(),
    *sources.cases(),
]
