"""Records, not code: a folder a system, with its study, its card and what was measured."""
