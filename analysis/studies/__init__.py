"""Studies: one file per question, with its settings, scores, decision rule and figures."""
