"""Agents: encoder, policy and value heads, the stages that train them, and what reads and writes them.

The modules are imported by name (``from agents.agent import build_agent``): importing this package alone does not
import torch, which takes seconds.
"""
