"""What all tests share: one thread, as the project's own workers have, so that timings and bits do not depend on cores."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
