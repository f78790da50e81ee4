"""One model a file, as its own users write it: `make(work, **options)` gives a `Contender`.

A file imports nothing but its own framework, numpy and `benchmarks.workload`, so that it runs in an
environment of its own.
"""
