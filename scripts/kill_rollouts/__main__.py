"""Kill everything at random moments of many rollouts under load, and count what came out.

    python -m scripts.kill_rollouts [--rollouts N] [--targets N] [--every SECONDS] [--seed N]

Several targets release side by side, each to users who never stop asking: good releases, and
some that answer badly, crash, or never become ready. Meanwhile a worker, the Temporal server,
the host's supervisor, the edge or a service instance is killed with SIGKILL every few seconds.
After each rollout everything is checked from outside: the judge is replayed over the stored
ticks, and records, edge, supervisor and process table have to agree with it; in the end every
failed request must be explained. The seed is printed; the same seed makes the same releases and
the same kills at the same pace.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.kill_rollouts.campaign import Campaign
from scripts.kill_rollouts.checks import processes_below


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rollouts", type=int, default=100)
    parser.add_argument("--targets", type=int, default=4, help="that release side by side")
    parser.add_argument("--rate", type=float, default=50, help="requests per second and target")
    parser.add_argument("--every", type=float, default=4.0, help="mean seconds between kills")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--keep", type=Path, help="work in this new folder and leave it there")
    options = parser.parse_args()
    words = f"--rollouts {options.rollouts} --targets {options.targets} --rate {options.rate:g}"
    print(f"replay with: python -m scripts.kill_rollouts {words} --every {options.every:g} "
          f"--seed {options.seed}", flush=True)  # fmt: skip
    if options.keep:
        options.keep.mkdir(parents=True)
        return campaign_in(options.keep.resolve(), options)
    with tempfile.TemporaryDirectory(prefix="slipway-kill-") as folder:
        return campaign_in(Path(folder).resolve(), options)


def campaign_in(folder: Path, options: argparse.Namespace) -> int:
    campaign = Campaign(folder, options)
    begun = campaign.slipway("up", "--detach")
    if begun.returncode != 0:
        print(begun.stdout, begun.stderr, file=sys.stderr)
        return 2
    counts: dict[str, Any] = {}
    try:
        began = time.monotonic()
        asyncio.run(campaign.run())
        counts = {**told(campaign), "seconds": round(time.monotonic() - began)}
        counts["audit"] = campaign.audited()
    finally:
        down = campaign.slipway("down", "--services")
    if down.returncode:
        campaign.tell(f"down ended with {down.returncode}: {down.stdout}")
    campaign.tell(*campaign.leftovers(), *processes_below(campaign.home))
    print(json.dumps({**counts, "violations": campaign.problems}, indent=1))
    return 1 if campaign.problems else 0


def told(campaign: Campaign) -> dict[str, Any]:
    """Return the counts of a campaign."""
    rollouts = [each for each in campaign.rollouts if each.release.number]
    kills = campaign.killer.kills
    ends = Counter(f"{each.release.kind}: {each.state or 'no end'}" for each in rollouts)
    took = [each.ended - each.begun for each in rollouts]
    sent = [one for load in campaign.loads for one in load.sent]
    struck = Counter(state for kill in kills for state in kill.during)
    return {
        "seed": campaign.options.seed,
        "rollouts": len(rollouts),
        "ends": dict(sorted(ends.items())),
        "kills": dict(Counter(kill.what for kill in kills)) | {"in all": len(kills)},
        "kills during": dict(struck),
        "seconds of a rollout (median, longest)": [
            round(statistics.median(took), 1), round(max(took), 1),
        ],
        "requests": len(sent),
        "longest wait for an answer": round(max(one.ended - one.begun for one in sent), 2),
        "failed requests": campaign.accounts(),
        "ticks": campaign.records.count("rollout_ticks"),
        "weight changes": campaign.records.count("weight_changes"),
        "quarantined": campaign.records.count("quarantine"),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
