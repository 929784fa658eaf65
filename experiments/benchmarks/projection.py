"""What steps send, as a table, and how long that takes at assumed speeds."""

import dataclasses
from typing import Any

from experiments.markdown import markdown_table


@dataclasses.dataclass(frozen=True)
class Speeds:
    """Assumptions about a device; none was measured."""

    teraflops: float = 60.0
    """10^12 operations a second: three tenths of the bfloat16 peak of a TPU v5e, as its
    maker gives it (197)."""
    gigabytes: tuple[float, ...] = (200.0, 25.0)
    """10^9 bytes sent a second: 200 is what the maker of TPU v5e gives for all links of
    a chip in one direction (1600 Gbit/s), 25 a network of 200 Gbit/s a device."""


def project(
    row: dict[str, Any], gradient_flops: float, assumed: Speeds
) -> dict[str, Any]:
    """Returns the times of a step, nothing overlapped and no latency counted.

    Args:
        row: What `measure` returns.
        gradient_flops: Operations of a gradient on one device.
        assumed: The speeds.
    """
    compute = row["gradients_a_step"] * gradient_flops / (assumed.teraflops * 1e12)
    sending = {
        f"{speed:g}": row["wire_bytes"] / (speed * 1e9) for speed in assumed.gigabytes
    }
    return {
        "devices": row["devices"],
        "step": row["step"],
        "compute_milliseconds": 1e3 * compute,
        "milliseconds_to_send_at_gigabytes": {
            speed: 1e3 * seconds for speed, seconds in sending.items()
        },
        "share_of_the_step_at_gigabytes": {
            speed: seconds / (seconds + compute) for speed, seconds in sending.items()
        },
    }


def markdown(
    programs: list[dict[str, Any]], projections: list[dict[str, Any]], assumed: Speeds
) -> str:
    """Returns the tables of what `measure` and `project` return."""
    tables = [counted_table(programs), projected_table(projections, assumed)]
    return "\n\n".join(tables) + "\n"


def counted_table(rows: list[dict[str, Any]]) -> str:
    """Returns a table of what is sent, a row a program."""
    kinds = sorted({kind for row in rows for kind in row["collectives"]})
    header = ["devices", "step", *(f"{kind}: number, MB" for kind in kinds)]
    header += ["MB sent a device", "state a device, MB"]
    table = []
    for row in rows:
        cells = [
            f"{found['count']}, {found['payload_bytes'] / 1e6:.1f}"
            if (found := row["collectives"].get(kind))
            else "none"
            for kind in kinds
        ]
        sizes = (row["wire_bytes"] / 1e6, row["state_bytes_a_device"] / 1e6)
        cells += [f"{size:.1f}" for size in sizes]
        table.append([str(row["devices"]), row["step"], *cells])
    return markdown_table(header, table)


def projected_table(rows: list[dict[str, Any]], assumed: Speeds) -> str:
    """Returns a table of the times at assumed speeds, a row a program."""
    speeds = [f"{speed:g}" for speed in assumed.gigabytes]
    header = ["devices", "step", f"ms to compute at {assumed.teraflops:g} Tflop/s"]
    header += [f"ms to send at {speed} GB/s, share" for speed in speeds]
    table = []
    for row in rows:
        times = row["milliseconds_to_send_at_gigabytes"]
        shares = row["share_of_the_step_at_gigabytes"]
        cells = [f"{row['compute_milliseconds']:.1f}"]
        cells += [f"{times[speed]:.2f}, {shares[speed]:.0%}" for speed in speeds]
        table.append([str(row["devices"]), row["step"], *cells])
    return markdown_table(header, table)
