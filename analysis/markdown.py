"""Results as Markdown text."""

from __future__ import annotations

from collections.abc import Sequence


def bullets(sentences: Sequence[str]) -> str:
    """A list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are taken as they are."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
