"""What HAProxy counts, in the words of the driver protocol (statistics: management guide, 9.1)."""

from collections.abc import Mapping

from domain.deployment import Counts


def read_counts(instance: str, row: Mapping[str, str], epoch: str) -> Counts:
    """Return the counts of a server.

    The unit is an attempt to give an instance a request: one that could not connect is `connect`,
    and is started again, there or elsewhere. `reset` holds time-outs too (`eresp` does not tell
    them apart), and an answer that broke off in the middle, which is a `2xx` besides. HAProxy has
    no counter of clients, so each bad answer counts as a client's; tries at the same instance,
    which are those of one client, count once.
    """

    def number(name: str) -> int:
        return int(row.get(name) or 0)

    done = {f"{kind}xx": number(f"hrsp_{kind}xx") for kind in range(1, 6)}
    again = number("wredis") + number("wretr")
    lost = number("econ") + number("wredis")
    # A stall in the middle of an answer is only in srv_abrt, a break in both.
    reset = max(number("eresp"), number("srv_abrt"))
    return Counts(
        instance=instance,
        epoch=epoch,
        started=number("stot"),
        done=done
        | {"connect": number("econ") + again, "reset": reset, "aborted": number("cli_abrt")},
        bad_clients=done["5xx"] + lost + reset,
        passed_on=again,
    )
