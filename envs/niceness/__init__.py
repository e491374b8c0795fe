"""People whose preferences an agent can move: exact processes, objectives, measures and worlds."""
