"""What the command line does with study files: run, compare."""

import importlib.util
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_mtl.study import cards, load_picture, picture, report, strategies, trees
from keras_mtl.study.comparison import BASELINE
from keras_mtl.study.continuation import chosen_folder, study_folder
from keras_mtl.study.execution import (
    check_distinct,
    check_models,
    equal_budgets,
    execute,
    take_part,
)
from keras_mtl.study.folders import FINISHED
from keras_mtl.study.results import Row
from keras_mtl.study.run_settings import RunSettings
from keras_mtl.study.sources import load_data
from keras_mtl.study.study_file import Study, load_study

RUNS = Path("runs")
INSTALL = 'pip install "keras-mtl[study]"'


@dataclass(frozen=True)
class Options:
    """Choices of the command line that hold for every run.

    Attributes:
        data: name of a data section; None is the first of the file.
        data_dir: folder of the data's files.
        seeds: one run each; None leaves it to the command.
        out: folder of the study; None numbers a new one under `runs/`.
        strategy: one of `strategies.STRATEGIES`.
        fit: arguments of `fit` that replace the file's.
    """

    data: str | None = None
    data_dir: Path | None = None
    seeds: Sequence[int] | None = None
    out: Path | None = None
    strategy: str = "default"
    fit: Mapping[str, Any] = field(default_factory=dict)

    def folder(self, parent: Path, runs: Sequence[RunSettings]) -> AbstractContextManager[Path]:
        """The folder for these runs: the one asked for, one they continue, or a new one.

        Inside, no other process has it.
        """
        plan = [settings.to_dict() for settings in runs]
        return chosen_folder(self.out, plan) if self.out else study_folder(parent, plan)

    def given(self) -> dict[str, Any]:
        """What a study's runs are told from here."""
        return {"fit": self.fit, "strategy": self.strategy}


def run(path: Path, options: Options, verbose: int) -> list[Row]:
    """Trains a study and those it is compared with, prints figures, exports, checks the export."""
    study = load_study(path)
    strategies.start(options.strategy)
    name = options.data or study.data_names[0]
    seeds = options.seeds or study.seeds()
    own = study.runs(name, seeds, **options.given())
    baseline = study.baseline_runs(name, seeds, **options.given())
    against = study.against_runs(name, seeds, **options.given())
    runs = [*own, *equal_budgets(baseline, own, options.data_dir), *against]
    check_distinct(runs)
    check_models(runs, options.data_dir)
    if not strategies.is_chief(options.strategy):
        take_part(runs, options.data_dir)
        return []
    data = load_data(own[0], options.data_dir)
    with options.folder(RUNS / study.name / name, runs) as folder:
        print(report.heading(study.title, own[0], data, folder))
        rows = execute(
            runs,
            folder,
            data_dir=options.data_dir,
            exported=own[0],
            verbose=verbose,
        )
        print("\n" + report.side_by_side(rows))
        _show_loads(rows, folder)
        if (baseline or against) and len(seeds) == 1:
            chosen = f" --data {name}" if options.data else ""
            again = f"keras-mtl compare {path}{chosen} --seeds 3"
            print(f"\nOne seed shows the way, not the size: `{again}` trains several.")
        exported = folder / own[0].folder_name
        print("\n" + report.served(exported, load_data(own[0], options.data_dir)))
        print("\n" + report.whereabouts(folder, exported))
    return rows


def compare(paths: Sequence[Path], options: Options, *, boosted: bool, to_cards: bool) -> list[Row]:
    """Trains several studies with equal budgets and seeds; prints, draws and records that.

    The first study's model sets the budget, and its file may say the seeds. Where no study is the
    baseline, the first one's is added. Models that a study names `[against.LABEL]` keep their own
    size.
    """
    # A card shows pictures; without cards, what cannot be drawn is printed all the same.
    require(*(["matplotlib"] if to_cards else []), *(["sklearn"] if boosted else []))
    studies = distinct_studies(paths)
    for study in studies if to_cards else ():
        cards.read_card(
            study.path.parent / cards.CARD
        )  # a card that cannot be written fails before training
    strategies.start(options.strategy)
    name = options.data or studies[0].data_names[0]
    runs = _compared_runs(studies, name, options, boosted)
    check_models(runs, options.data_dir)
    if not strategies.is_chief(options.strategy):
        take_part(runs, options.data_dir)
        return []
    with options.folder(RUNS / "compare" / name, runs) as folder:
        names = ", ".join(study.name for study in studies)
        print(f"Comparison of {names} on {name}: {len(runs)} runs")
        print(f"  folder  {folder}\n")
        rows = execute(runs, folder, data_dir=options.data_dir, verbose=0)
        print("\n" + report.comparisons(rows))
        _show_loads(rows, folder)
        print(f"\nFigures: {folder / FINISHED}")
        _draw(picture.draw, rows, folder / picture.COMPARISON)
    for study in studies if to_cards else ():
        cards.record(study.path.parent, study.name, rows)
        print(f"Card:    {study.path.parent / cards.CARD}")
    return rows


def distinct_studies(paths: Sequence[Path]) -> list[Study]:
    """The studies, each once: the first, which sets the budget, may stand again among the rest."""
    studies = {os.path.realpath(path): load_study(path) for path in paths}
    names = [study.name for study in studies.values()]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Studies must have distinct names. Received twice: {name}")
    return list(studies.values())


def _compared_runs(
    studies: Sequence[Study], name: str, options: Options, boosted: bool
) -> list[RunSettings]:
    """All runs of a comparison: those on equal data one after another, so that data load once."""
    seeds = options.seeds or studies[0].sections.get("seeds", list(range(5)))
    own = [study.runs(name, seeds, **options.given()) for study in studies]
    models = [settings.model for settings in itertools.chain(*own)]
    if BASELINE not in models:
        own.append(studies[0].baseline_runs(name, seeds, **options.given()))
    runs = equal_budgets([*itertools.chain(*own)], own[0], options.data_dir)
    for study in studies:
        runs += study.against_runs(name, seeds, **options.given())
    check_distinct(runs)
    if boosted:
        trees.check(load_data(own[0][0], options.data_dir))
        of_data = {settings.data_key(): settings for settings in own[0]}
        runs += [trees.tree_settings(settings) for settings in of_data.values()]
    order = list(dict.fromkeys(settings.data for settings in runs))
    return sorted(runs, key=lambda settings: (order.index(settings.data), settings.seed))


def _show_loads(rows: Sequence[Row], folder: Path) -> None:
    """Prints how evenly experts were used, and draws it."""
    if said := report.expert_loads(rows):
        print(f"\n{said}\n")
        _draw(load_picture.draw, rows, folder / load_picture.LOAD)


def _draw(draw: Callable[[Sequence[Row], Path], None], rows: Sequence[Row], path: Path) -> None:
    """Draws where there is something to draw with, and says where the picture is."""
    if importlib.util.find_spec("matplotlib") is None:
        print(f"Picture: none, it needs the extra `study`: {INSTALL}")
        return
    draw(rows, path)
    print(f"Picture: {path}")


def require(*modules: str) -> None:
    """Raises `ValueError`, before anything is trained, where a module is not installed."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ValueError(
            f"Cards and boosted trees need the extra `study`: {INSTALL}. "
            f"Received: no {', '.join(missing)}"
        )
