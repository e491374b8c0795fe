"""Worlds, exact solutions, demonstrations and rendering; importing this package registers the worlds' Gymnasium ids."""

from envs.errors import NonFiniteError, UserError
from envs.registry import WORLDS, make_world, register_worlds
from envs.rows import EnvState, Levels, Outcomes, World
from envs.single import GridEnv
from envs.step_buffers import StepBuffers
from envs.vector import GridVectorEnv

__all__ = [
    "WORLDS",
    "EnvState",
    "GridEnv",
    "GridVectorEnv",
    "Levels",
    "NonFiniteError",
    "Outcomes",
    "StepBuffers",
    "UserError",
    "World",
    "make_world",
    "register_worlds",
]

register_worlds()
