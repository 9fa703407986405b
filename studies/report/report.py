from studies.analysis.same_runs import distinct
from studies.reports import *


def ended_trials(trials, settings, rules):
    slots = read_slots(trials, max(settings.n_trials, len(originals(trials))))
    return distinct([*[s.last for s in slots if rules.is_finished(s)], *filter(is_imported, trials)])


def analysis_of(trials, settings, *, console):
    raise NotImplementedError
