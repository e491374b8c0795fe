"""Niceness studies: exact answers, agents that were trained, and whether it can be seen coming."""
