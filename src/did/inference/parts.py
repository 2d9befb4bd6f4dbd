"""Clustered errors of the one effect on many parts of a panel, found together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.estimators.base import ESTIMATED, Panel, join_notes, root_sum_squares
from did.estimators.parts import Parts
from did.estimators.shares import summed
from did.inference.clustered import beyond, caveat, is_variation, quantile, rounding_from, small_sample_factor


def by_cluster_of_parts(parts: Parts, panel: Panel, level: float = 0.95) -> list[dict[str, np.ndarray]]:
    """Return what `did.inference.clustered.by_cluster` does of each part's result and panel, with a part for a
    parameter: a dict of (parts,) columns per cluster level. ``panel`` is the whole one. Raises nothing."""
    kept, dose = parts.kept, panel.dose[:, None] if parts.dose is None else parts.dose
    treated = kept & (~panel.never_treated[:, None] if parts.dose is None else dose > 0)
    n_units = kept.sum(axis=0)
    seen = np.isfinite(panel.outcome)
    squares, n_seen = np.where(seen, panel.outcome**2, 0.0).sum(axis=1) @ kept, seen.sum(axis=1) @ kept
    rounding = rounding_from(np.sqrt(squares / np.maximum(n_seen, 1)), np.sqrt((dose**2 * treated).sum(axis=0)))
    magnitude = np.abs(parts.influence).sum(axis=0)
    blocks = []
    for cluster, labels in panel.clusters.items():
        codes, names = pd.factorize(labels)
        n_clusters, n_treated = ((summed(mask.astype(np.int32), codes, len(names)) > 0).sum(axis=0)
                                 for mask in (kept, treated))
        spread = root_sum_squares(summed(parts.influence, codes, len(names)), axis=0)
        varies = is_variation(spread, magnitude, rounding)
        factor = np.array([small_sample_factor(n, n_obs, parts.n_parameters) for n, n_obs in
                           zip(n_clusters.tolist(), parts.n_obs.tolist(), strict=True)])
        std_error = np.where(varies, np.sqrt(factor) * spread, np.nan)
        df = np.maximum(n_clusters - 1, 0).astype(float)
        half_width = quantile((1 + level) / 2, df) * std_error
        each = zip(n_clusters.tolist(), factor.tolist(), n_treated.tolist(), varies.tolist(), parts.note, strict=True)
        note = [join_notes(caveat(ESTIMATED, n, own_factor, n_with, has_error, cluster), own)
                for n, own_factor, n_with, has_error, own in each]
        blocks.append({
            "cluster": np.repeat(cluster, len(note)).astype(object), "estimate": parts.estimate, "std_error": std_error,
            "ci_low": parts.estimate - half_width, "ci_high": parts.estimate + half_width,
            "p_value": 2 * beyond(np.abs(parts.estimate) / std_error, df), "n_treated": treated.sum(axis=0),
            "n_clusters": n_clusters, "n_treated_clusters": n_treated, "n_obs": parts.n_obs, "n_units": n_units,
            "df": df, "note": np.array(note, dtype=object)})
    return blocks
