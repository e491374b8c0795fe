"""Target size: the share of mixtures of objectives that have an influence-free optimum (E13), exactly.

    share = area{w in simplex : max_{π free of influence} w · U(π) = max_π w · U(π)} / area of the simplex

with U = (RT, IR, NS) and w uniform. Both maxima are piecewise linear and convex in w, so each is found as the upper
envelope of finitely many vectors U: solve at the corners of the pieces known so far, add what is better, until no
corner has anything better. The share is then a sum of areas of polygons, in fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from envs.errors import UserError
from envs.niceness.contrasts import utility_of
from envs.niceness.drmdp import DRMDP
from envs.niceness.influence import best_without_influence
from envs.niceness.plans import Plan, maximum
from envs.niceness.policies import expected
from envs.niceness.utilities import Mixed

Weights = tuple[Fraction, ...]
Vector = tuple[Fraction, ...]
Polygon = list[Weights]
SIMPLEX: Polygon = [tuple(Fraction(int(i == j)) for j in range(3)) for i in range(3)]


def target_size(
    case: DRMDP, *, objectives: tuple[str, str, str] = ("RT", "IR", "NS"), with_last: bool = True
) -> Fraction:
    """The share of mixtures with an influence-free optimum, 0 to 1.

    Args:
        case: The process.
        objectives: Three that are utilities.
        with_last: Whether θ_H counts as influence.

    Raises:
        UserError: Not three objectives, one that is a rule, or unkeyed noise with NS.
    """
    if len(objectives) != 3:
        raise UserError(f"objectives are {objectives}, of which there must be three, the corners of a triangle.")
    utilities = tuple(utility_of(name, case) for name in objectives)

    def achieved(plan: Callable[[Mixed], Plan]) -> Callable[[Weights], Vector]:
        def best(weights: Weights) -> Vector:
            policy = plan(Mixed(case, utilities, weights)).policy()
            return tuple(expected(policy, utility) for utility in utilities)

        return best

    free = envelope(achieved(lambda mixed: best_without_influence(mixed, with_last=with_last)))
    every = envelope(achieved(maximum))
    areas = (area(clipped(piece, _gaps(vector, every))) for vector, piece in pieces(free))
    return sum(areas, Fraction(0)) / area(SIMPLEX)


def envelope(best: Callable[[Weights], Vector]) -> list[Vector]:
    """Vectors whose maximum over the simplex is max_π w · U(π); `best` gives one of the best vectors at a w."""
    vectors: list[Vector] = []
    asked: dict[Weights, Vector] = {}
    corners = list(SIMPLEX)
    while corners:
        for corner in corners:
            asked[corner] = best(corner)
            known = max((dot(corner, vector) for vector in vectors), default=None)
            if known is None or dot(corner, asked[corner]) > known:
                vectors.append(asked[corner])
        corners = list({corner for _, piece in pieces(vectors) for corner in piece if corner not in asked})
    return vectors


def pieces(vectors: Sequence[Vector]) -> list[tuple[Vector, Polygon]]:
    """For each vector the polygon of weights under which it is the best of them; those without area are left out."""
    found = ((vector, clipped(SIMPLEX, _gaps(vector, vectors))) for vector in dict.fromkeys(vectors))
    return [(vector, piece) for vector, piece in found if area(piece)]


def _gaps(vector: Vector, others: Sequence[Vector]) -> list[Vector]:
    """Differences to the others; w · difference >= 0 where the vector is as good."""
    return [tuple(mine - theirs for mine, theirs in zip(vector, other, strict=True)) for other in others]


def clipped(polygon: Polygon, gaps: Sequence[Vector]) -> Polygon:
    """The part of a convex polygon where w · gap >= 0 for every gap."""
    for gap in gaps:
        kept: Polygon = []
        for here, there in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
            inside, next_inside = dot(here, gap), dot(there, gap)
            if inside >= 0:
                kept.append(here)
            if inside * next_inside < 0:
                share = inside / (inside - next_inside)
                kept.append(tuple(a + share * (b - a) for a, b in zip(here, there, strict=True)))
        polygon = kept
    return polygon


def area(polygon: Polygon) -> Fraction:
    """Twice the area in the plane of the first two weights; 0 for fewer than three corners."""
    turned = zip(polygon, [*polygon[1:], *polygon[:1]], strict=True)
    return abs(sum((a[0] * b[1] - a[1] * b[0] for a, b in turned), Fraction(0)))


def dot(weights: Weights, vector: Vector) -> Fraction:
    """W · U."""
    return sum((w * v for w, v in zip(weights, vector, strict=True)), Fraction(0))
