"""What stands in a row of the publisher's files, and which of it is a feature or a label."""

from collections.abc import Callable
from typing import Any

import numpy as np

# In the order of the files; names of the publisher's documentation, shortened.
COLUMNS = [
    "age",
    "class_worker",
    "det_ind_code",
    "det_occ_code",
    "education",
    "wage_per_hour",
    "hs_college",
    "marital_stat",
    "major_ind_code",
    "major_occ_code",
    "race",
    "hisp_origin",
    "sex",
    "union_member",
    "unemp_reason",
    "full_or_part_emp",
    "capital_gains",
    "capital_losses",
    "stock_dividends",
    "tax_filer_stat",
    "region_prev_res",
    "state_prev_res",
    "det_hh_fam_stat",
    "det_hh_summ",
    "instance_weight",
    "mig_chg_msa",
    "mig_chg_reg",
    "mig_move_reg",
    "mig_same",
    "mig_prev_sunbelt",
    "num_emp",
    "fam_under_18",
    "country_father",
    "country_mother",
    "country_self",
    "citizenship",
    "own_or_self",
    "vet_question",
    "vet_benefits",
    "weeks_worked",
    "year",
    "income_50k",
]

NUMERIC = [
    "age",
    "wage_per_hour",
    "capital_gains",
    "capital_losses",
    "stock_dividends",
    "num_emp",
    "weeks_worked",
]

# The weight of a row in the survey says nothing of the person; the rest are labels.
NOT_FEATURES = {"instance_weight", "education", "marital_stat", "income_50k"}
CATEGORICAL = [name for name in COLUMNS if name not in {*NUMERIC, *NOT_FEATURES}]

LABEL_COLUMNS = {"income": "income_50k", "marital": "marital_stat", "education": "education"}

COLLEGE = {
    "Associates degree-occup /vocational",
    "Associates degree-academic program",
    "Bachelors degree(BA AB BS)",
    "Masters degree(MA MS MEng MEd MSW MBA)",
    "Prof school degree (MD DDS DVM LLB JD)",
    "Doctorate degree(PhD EdD)",
}


def read_income(text: str) -> int:
    """1 above 50,000 dollars, else 0."""
    return ("- 50000.", "50000+.").index(text.strip())


def read_marital(text: str) -> int:
    """1 for never married, else 0."""
    return int(text.strip() == "Never married")


def read_education(text: str) -> int:
    """1 for an associate's degree or higher, else 0."""
    return int(text.strip() in COLLEGE)


# How the text of a cell becomes a value, and the type of the column; `ValueError` if it cannot.
READERS: dict[str, tuple[Callable[[str], Any], Any]] = {
    **{name: (str.strip, object) for name in CATEGORICAL},
    **{name: (float, np.float32) for name in NUMERIC},
    "income_50k": (read_income, np.int32),
    "marital_stat": (read_marital, np.int32),
    "education": (read_education, np.int32),
}
