"""The demo: ideas for a sample service under load reach production, and one of them comes back."""

from pathlib import Path

_HERE = Path(__file__).parent

IDEA = _HERE / "idea.yaml"  # five tasks; its release is the first one
PASSES = _HERE / "price-for-a-zone.yaml"
HURTS = _HERE / "prices-from-a-table.yaml"  # passes all gates, fails users, mends itself
