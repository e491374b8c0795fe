"""Faults in anybody's env: `check_env(id or factory)` plays it in many ways and names each rule that it breaks.

What an env declares is compared with what it returns over many long episodes; equal seeds and actions are played again
in other instances, after other episodes, beside other instances, under another clock and in another process; streams
of seeds are compared with each other; ends of episodes are compared with what a reset would have shown.
"""

from envs.checks.check import check_env
from envs.checks.report import Finding, Report
from envs.checks.rules import RULES, Rule

__all__ = ["RULES", "Finding", "Report", "Rule", "check_env"]
