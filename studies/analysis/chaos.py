"""Sparse polynomial chaos: Sobol indices from a sum of orthonormal polynomials, the second estimator beside the GP.

Source: Blatman & Sudret (Journal of Computational Physics 230, 2011). Candidates are products of polynomials,
orthonormal under each parameter's own measure. Least-angle regression ranks them. Each prefix of the ranking is
refitted by least squares and judged by its corrected leave-one-out error. The candidates grow with the hyperbolic
degree. A component's index is the sum of its squared coefficients over that of all. It needs no integration.

Context, choice, cost, measured at 100 and 200 random trials on six test functions with noise .1 and .3. Products of
three parameters are candidates at low degree. Without them a pure x1·x2·x3 came out as a pair of about .5. They cost no
accuracy elsewhere. The shortest prefix within half a standard error of the best leave-one-out error is taken: on an
additive function at noise .3 the mean largest spurious pair falls from .007 to .004 at n = 200. There is no interval,
for this estimator only serves to be compared with the other one.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path

from studies.analysis.axis import Array
from studies.analysis.levels import MIN_FITTED_TRIALS

Integers = npt.NDArray[np.int_]

Q_NORM = 0.75  # of the hyperbolic degree: favours few high degrees over many middling ones
MAX_DEGREE = 12  # hyperbolic, as 8.8 is of a pair of degrees 3 and 4
MAX_TRIPLE_DEGREE = 4  # total degree of a product of three parameters
MAX_TRIPLES = 1500  # before their degree is looked at: products of three up to about ten parameters
MAX_CANDIDATES = 3000
MAX_CANDIDATES_A_TRIAL = 10
MAX_CHOSEN = 200  # never more than half the trials
TIE = 0.5  # standard errors of the leave-one-out error within which the shorter model is taken
FLAT = 1e-12  # relative range below which a value counts as constant
FULL_LEVERAGE = 1 - 1e-8  # a trial that the model follows whatever its value: leaving it out is undefined
STILL = 1e-8  # share of a column's norm that its variation must exceed


@dataclass(frozen=True, slots=True)
class Chaos:
    """Shares of the fitted function's variance. `main.sum() + pairs.sum() / 2 + higher` is 1, or 0 where nothing was
    found.

    main: (d,)
    pairs: (d, d), symmetric with zero diagonal
    higher: the share of the products of three
    q2: 1 − the corrected leave-one-out error ÷ the variance, NaN where nothing could be fitted. It is somewhat
        optimistic, since the terms were chosen on the same trials.
    n_terms: without the constant
    degree: the hyperbolic degree of the candidates
    """

    main: Array
    pairs: Array
    higher: float
    q2: float
    n_terms: int
    degree: int


def chaos(bases: Sequence[Array], degrees: Sequence[Integers], y: Array) -> Chaos:
    """Fit a sparse polynomial chaos to values `y` (n,).

    `bases[i]` is (n, M_i): the basis functions of parameter i at the trials, orthonormal and of zero mean under its
    measure. `degrees[i]` (M_i,) has the degree of each, 1 for the contrasts of a categorical. Fewer than 10 trials, a
    constant value and bases without variation give zeros with `q2` NaN. Neither the order of trials or parameters nor
    an affine change of `y` changes the result. At most 10 terms a trial and 3000 in all are candidates, the lowest
    degrees first. With 60 trials of more than 30 parameters, or 200 of 60, no pair is looked at, and its share is 0.
    """
    d = len(bases)
    scaled = y / (np.max(np.abs(y), initial=0.0) or 1.0)
    if len(y) < MIN_FITTED_TRIALS or np.ptp(scaled) <= FLAT:
        return _nothing(d)
    rows, order = _canonical_order(bases, degrees, scaled)
    values = scaled[rows]
    values = (values - values.mean()) / values.std()
    columns = np.column_stack([bases[i][rows] for i in order])
    owner = np.repeat(order, [len(degrees[i]) for i in order])
    degree = np.concatenate([degrees[i] for i in order])
    varies = np.ptp(columns, axis=0) > 0
    if not varies.any():
        return _nothing(d)
    return _search(columns[:, varies], owner[varies], degree[varies], values, d=d)


def _nothing(d: int) -> Chaos:
    return Chaos(np.zeros(d), np.zeros((d, d)), higher=0.0, q2=math.nan, n_terms=0, degree=0)


def _canonical_order(bases: Sequence[Array], degrees: Sequence[Integers], y: Array) -> tuple[Integers, list[int]]:
    """Return orders of trials and of parameters by their content. Rounding is then the same in whatever order they
    came."""
    rows = np.lexsort((y, *np.sort(np.column_stack(bases), axis=1).T))
    order = sorted(range(len(bases)), key=lambda i: (degrees[i].tolist(), bases[i][rows].tobytes()))
    return rows, order


def _search(columns: Array, owner: Integers, degree: Integers, y: Array, *, d: int) -> Chaos:
    """Return the model with the least corrected leave-one-out error over all degrees."""
    limit = min(MAX_CANDIDATES, MAX_CANDIDATES_A_TRIAL * len(y))
    terms, norms = _candidates(owner, degree, limit=limit)
    factors = np.column_stack([columns, np.ones(len(y))])
    design = factors[:, terms[:, 0]] * factors[:, terms[:, 1]] * factors[:, terms[:, 2]]
    least, best, chosen_degree = math.inf, np.empty(0, dtype=np.int_), 0
    for level in range(1, MAX_DEGREE + 1):
        count = int(np.searchsorted(norms, level, side="right"))
        if count and (level == 1 or norms[count - 1] > level - 1):  # else the candidates are those of the level before
            ranking = _least_angle(design[:, :count], y, n_steps=min(count, len(y) // 2, MAX_CHOSEN))
            error, size = _shortest_of_the_best(design[:, ranking], y)
            if error < least:
                least, best, chosen_degree = error, ranking[:size], level
    shares = _shares(design[:, best], y)
    return _components(terms[best], shares, owner, d=d, q2=1 - least, degree=chosen_degree)


def _candidates(owner: Integers, degree: Integers, *, limit: int) -> tuple[Integers, Array]:
    """Return terms (t, 3) and their hyperbolic degrees (t,), sorted by degree.

    A term is the product of its columns, with `len(owner)` for none. Whole degrees are taken, with no more than `limit`
    terms in all. Those of degree 1 are never left out.
    """
    none = len(owner)
    first, second = np.triu_indices(none, 1)
    apart = owner[first] != owner[second]
    pairs = np.column_stack([first[apart], second[apart], np.full(int(apart.sum()), none)])
    singles = np.column_stack([np.arange(none), np.full((none, 2), none)])
    terms = np.concatenate([singles, pairs, _triples(owner, degree)])
    powered = np.append(degree.astype(float) ** Q_NORM, 0.0)
    norms = np.round(powered[terms].sum(axis=1) ** (1 / Q_NORM), 9)  # so that degree 2 is not 2.0000000000000004
    levels = range(1, MAX_DEGREE + 1)
    highest = max((level for level in levels if np.sum(norms <= level) <= limit), default=1)
    kept = np.flatnonzero(norms <= highest)
    kept = kept[np.argsort(norms[kept], kind="stable")]
    return terms[kept], norms[kept]


def _triples(owner: Integers, degree: Integers) -> Integers:
    low = np.flatnonzero(degree <= MAX_TRIPLE_DEGREE - 2)
    if math.comb(len(low), 3) > MAX_TRIPLES:
        return np.empty((0, 3), dtype=np.int_)
    triples = np.array(list(itertools.combinations(low, 3)), dtype=np.int_).reshape(-1, 3)
    apart = np.all(np.diff(np.sort(owner[triples], axis=1), axis=1) > 0, axis=1)
    kept: Integers = triples[apart & (degree[triples].sum(axis=1) <= MAX_TRIPLE_DEGREE)]
    return kept


def _least_angle(design: Array, y: Array, *, n_steps: int) -> Integers:
    """Return the columns in the order of least-angle regression."""
    centred = design - design.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    usable = np.flatnonzero(norms > STILL * np.linalg.norm(design, axis=0))
    with warnings.catch_warnings():  # it warns when it drops dependent columns, and when none are left
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, active, _ = lars_path(
            centred[:, usable] / norms[usable], y, method="lar", max_iter=n_steps, return_path=False, copy_X=False
        )
    taken: Integers = usable[np.array(active, dtype=np.int_)]
    return taken


def _shortest_of_the_best(design: Array, y: Array) -> tuple[float, int]:
    """Return the corrected leave-one-out error of the chosen prefix of columns, and its length. `y` has variance 1.

    The error without trial i is its residual ÷ (1 − leverage). Blatman & Sudret's correction for small samples is n /
    (n − P) · (1 + tr((AᵀA)⁻¹)) with A the (n, P) columns, the constant included.
    """
    n = len(y)
    q, r = np.linalg.qr(np.column_stack([np.ones(n), design]))
    inverse = np.linalg.inv(r)  # exists: least-angle regression takes up no column that depends on those before
    residuals = y[:, None] - np.cumsum(q * (q.T @ y), axis=1)
    leverage = np.cumsum(q**2, axis=1)
    correction = n / (n - np.arange(1, len(r) + 1)) * (1 + np.cumsum((inverse**2).sum(axis=0)))
    squares = (residuals / np.maximum(1 - leverage, 1 - FULL_LEVERAGE)) ** 2
    defined = (leverage < FULL_LEVERAGE).all(axis=0)
    errors = np.where(defined, squares.mean(axis=0) * correction, math.inf)
    best = int(np.argmin(errors))
    tolerance = TIE * correction[best] * squares[:, best].std() / math.sqrt(n)
    chosen = int(np.argmax(errors <= errors[best] + tolerance))
    return float(errors[chosen]), chosen


def _shares(design: Array, y: Array) -> Array:
    """Return the squared least-squares coefficients of the columns (t,), over their sum."""
    coefficients = np.linalg.lstsq(np.column_stack([np.ones(len(y)), design]), y, rcond=None)[0]
    squares = coefficients[1:] ** 2
    return np.asarray(squares / squares.sum(), dtype=np.float64)


def _components(terms: Integers, shares: Array, owner: Integers, *, d: int, q2: float, degree: int) -> Chaos:
    """Sum the shares of each parameter and each pair, in the order in which the parameters were given."""
    main, pairs, higher = np.zeros(d), np.zeros((d, d)), 0.0
    for term, share in zip(terms, shares, strict=True):
        members = owner[term[term < len(owner)]]
        if len(members) == 1:
            main[members[0]] += share
        elif len(members) == 2:
            pairs[members[0], members[1]] += share
        else:
            higher += float(share)
    return Chaos(main, pairs + pairs.T, higher=higher, q2=q2, n_terms=len(terms), degree=degree)
