"""Lets the tests of this room import `sharp_golden`, which lies beside them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
