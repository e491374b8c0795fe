"""LEACE: the least change of activations after which no linear predictor beats a constant.

    r(h) = h - W⁺ Π W (h - mean),   W W' = Σ_hh⁻¹ (whitening),   Π = the projection onto the columns of W Σ_hz.

Of all affine maps with Cov(r(h), z) = 0 it changes h least, under every quadratic norm. Its rank is at most K - 1.

Differences from the authors' package (concept-erasure), which agrees to rounding where they play no part:
- z is whitened, so that the singular values of W Σ_hz W_z are canonical correlations in [0, 1] and what counts as zero
  does not depend on how frequent a class is. The package holds those of W Σ_hz against .01; where a class has rate .001
  they are below .032 even for a perfect correlation, and a gap of two standard deviations between the means stays.
- h is scaled to unit variance by column first, which changes nothing but rounding.
- No shrinkage of Σ_hh and no bound on the trace of the covariance left: the least change is for Σ_hh as it is.
- The gap that is left between class means is worked out, and refused where it is no rounding.

Source: Belrose et al. (2023), arXiv 2306.03819, theorem 4.3.

Shapes: n rows, d features, m columns of the concept (K classes, or numbers), k dimensions taken away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.instruments.concept_input import one_hot, require_labels, require_more_rows
from analysis.instruments.erasers import AffineEraser, Floats
from envs.errors import UserError

CHUNK_ROWS = 4096
"""Rows centred at a time: a chunk of 256 columns stays near the cores, and sums of products lose no digits to means."""

SMALLEST_CORRELATION = 1e-7
"""Canonical correlations below this are rounding: with n rows, chance alone gives about sqrt(d / n)."""

SMALLEST_VARIANCE = 1e-12
"""Eigenvalues of the correlation matrix below this share of the largest stand for features that repeat others."""

LARGEST_GAP = 1e-5
"""Of what is left of Cov(h, z), in correlations; more means that h hides the concept below `SMALLEST_VARIANCE`."""


class LeaceFitter:
    """Collects means and covariances of activations and a concept, chunk by chunk, in float64.

    Attributes:
        num_rows: Seen so far.
    """

    def __init__(self, num_features: int, num_columns: int) -> None:
        """Start without rows.

        Args:
            num_features: d.
            num_columns: m: K for indicators of classes.
        """
        self.num_rows = 0
        self._mean = np.zeros(num_features + num_columns)
        self._features = np.zeros((num_features, num_features))
        self._both = np.zeros((num_features, num_columns))
        self._concept = np.zeros((num_columns, num_columns))

    def update(self, features: NDArray[np.floating], concept: NDArray[np.floating]) -> LeaceFitter:
        """Add rows.

        Args:
            features: [n, d], finite.
            concept: [n, m], indicators of classes or numbers to be erased.

        Returns:
            Itself.

        Raises:
            UserError: Another shape than announced.
        """
        if features.shape != (len(concept), len(self._both)) or concept.shape[1:] != self._both.shape[1:]:
            raise UserError(
                f"features have shape {features.shape} and the concept {concept.shape}; this fitter takes [n, "
                f"{len(self._both)}] and [n, {self._both.shape[1]}] with the same n"
            )
        for start in range(0, len(features), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            self._add(features[part].astype(np.float64), concept[part].astype(np.float64))
        return self

    def _add(self, features: Floats, concept: Floats) -> None:
        """Merges a chunk: centred sums of products add, but for the distance of the two means (Chan et al. 1979)."""
        mean = np.concatenate([features.mean(axis=0), concept.mean(axis=0)])
        d, total = len(self._both), self.num_rows + len(features)
        features -= mean[:d]
        concept -= mean[d:]
        apart, share = mean - self._mean, len(features) / total
        # numpy multiplies A' A at half the cost of A' B.
        self._features += features.T @ features + self.num_rows * share * np.outer(apart[:d], apart[:d])
        self._both += features.T @ concept + self.num_rows * share * np.outer(apart[:d], apart[d:])
        self._concept += concept.T @ concept + self.num_rows * share * np.outer(apart[d:], apart[d:])
        self._mean += share * apart
        self.num_rows = total

    def eraser(self) -> AffineEraser:
        """The eraser of the rows seen so far.

        Raises:
            UserError: No more rows than features and columns; no feature or no column of the concept varies; a concept
                hidden in differences of features that are below rounding.
        """
        d, m = self._both.shape
        require_more_rows(self.num_rows, 2, why="they do not vary")
        scale, concept_scale = (np.sqrt(np.diag(sums) / self.num_rows) for sums in (self._features, self._concept))
        for name, own in (("feature", scale), ("column of the concept", concept_scale)):
            if not own.any():
                raise UserError(f"no {name} varies over {self.num_rows} rows, so there is nothing to erase")
        varies = scale > 0.0
        varying = int(varies.sum())
        require_more_rows(self.num_rows, varying + m + 1, why=f"{varying} features tell as many rows apart by position")
        scale, concept_scale = (np.where(own > 0.0, own, 1.0) for own in (scale, concept_scale))
        between = self._both / self.num_rows / np.outer(scale, concept_scale)
        whiten, unwhiten = _whitening(self._features / self.num_rows / np.outer(scale, scale))
        whiten_concept, _ = _whitening(self._concept / self.num_rows / np.outer(concept_scale, concept_scale))
        u, correlations, _ = np.linalg.svd(whiten @ between @ whiten_concept.T, full_matrices=False)
        u = u[:, correlations > SMALLEST_CORRELATION]
        read, write = u.T @ whiten, (unwhiten.T @ u).T
        left = float(np.abs(between - write.T @ (read @ between)).max())
        if left > LARGEST_GAP:
            raise UserError(
                f"a correlation of {left:.1e} is left after erasing: the concept stands in differences of features "
                "below rounding; leave out features that repeat others"
            )
        # What never varies is left as it is to the last bit.
        return AffineEraser(self._mean[:d].copy(), read / scale * varies, write * scale * varies)


def fit_leace(features: ArrayLike, labels: ArrayLike) -> AffineEraser:
    """The LEACE eraser of a concept with classes.

    Fitted in the sample: on fresh rows a retrained probe reads part of the concept again, more the fewer rows there
    were. One coordinate in d = 64 that a probe reads at .84 is read at .71, .63, .56 and .51 after a fit on 200, 500,
    2,000 and 20,000 rows. So fit on some episodes and judge on others; n = 300 d is needed for .01.

    Args:
        features: [n, d], finite, n > d + K.
        labels: int[n], two classes or more.

    Raises:
        UserError: As `require_labels` and `LeaceFitter.eraser`.

    Where class means differ by chance alone it still takes K - 1 dimensions away, as means are to be equal in the
    sample; what that does to V is what a random subspace does.

    Cannot show: that the concept is gone. A threshold, a clipped or a non-linear readout may still tell the classes
    apart (`analysis.instruments.robust_probes`).
    """
    rows, numbers, num_classes = require_labels(features, labels)
    return LeaceFitter(rows.shape[1], num_classes).update(rows, one_hot(numbers, num_classes)).eraser()


def _whitening(covariance: Floats) -> tuple[Floats, Floats]:
    """W [k, d] with W Σ W' = 1 on the support of Σ, and W⁺' [k, d]."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > SMALLEST_VARIANCE * values[-1]
    roots, basis = np.sqrt(values[kept])[:, None], vectors[:, kept].T
    return basis / roots, basis * roots
