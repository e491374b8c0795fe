"""Search on top of Stable-Baselines3: the same PPO plays with and without looking ahead."""

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

import envs  # noqa: F401 (registers the ids)
from agents.sb3_search import SearchPolicy
from agents.search import SearchConfig


def main(*, num_steps: int = 20_000, num_episodes: int = 100) -> dict[int, float]:
    """Train, and return the mean return by number of simulations."""
    env = make_vec_env("ValueLab/MultiNeed-5x5-v0", n_envs=8, seed=0)
    model = PPO("MultiInputPolicy", env, n_steps=128, seed=0, device="cpu").learn(num_steps)
    found = {}
    for n in (0, 4, 32):
        player = SearchPolicy(model, SearchConfig(num_simulations=n)) if n else model
        found[n], _ = evaluate_policy(player, env, n_eval_episodes=num_episodes)
        print(f"{n} simulations: mean return {found[n]:.2f}")
    return found


if __name__ == "__main__":
    main()
