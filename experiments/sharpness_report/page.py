"""The page: one HTML file that holds its figures."""

import base64
import html
import io
import json
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from experiments.sharpness_report.figures import (
    draw_densities,
    draw_landscape,
    draw_sharpness,
)

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto;
       padding: 0 1rem; color: #222 }
table { border-collapse: collapse } td, th { padding: .2rem .8rem; text-align: right }
th { border-bottom: 1px solid #888 } td:first-child, th:first-child { text-align: left }
img { max-width: 100% } pre { background: #f4f4f4; padding: .8rem; overflow: auto }
"""


def page(record: Mapping[str, Any]) -> str:
    """Returns the report of a run as HTML.

    Args:
        record: `run`, `options`, `measures` and what `provenance` gives.
    """
    run, found = record["run"], record["measures"]
    title = f"Sharpness of {run['name']}, seed {run['seed']}, step {run['step']}"
    count = record["num_examples"]
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(run['summary'])}. The loss is that of training, on {count} "
        "training examples without augmentation, with running BatchNorm statistics. "
        "<i>Plain</i> is SAM's ball, <i>adaptive</i> ASAM's.</p>",
        "<h2>How much the loss rises at worst</h2>",
        _image(draw_sharpness(found["sharpness"])),
        _sharpness_table(found["sharpness"]),
        "<h2>Curvature</h2>",
        _curvature_table(found),
        _image(draw_densities(found["density"])),
        "<h2>The loss around the minimum</h2>",
        "<p>Along two random directions, each filter as long as that of the net.</p>",
        _image(draw_landscape(found["landscape"])),
        "<h2>Where this comes from</h2>",
        f"<pre>{html.escape(json.dumps(_origin(record), indent=2))}</pre>",
    ]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}"
        f"</title><style>{_STYLE}</style><body>{''.join(body)}</body></html>\n"
    )


def _origin(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in record if name != "measures"}


def _sharpness_table(cases: list[Mapping[str, Any]]) -> str:
    header = ["ball", "p", "rho", "loss", "one step", "worst case", "still promised"]
    rows = [
        [
            case["ball"],
            str(case["p"]),
            f"{case['rho']:.3g}",
            *(
                f"{case[x]:.4g}"
                for x in ("clean_loss", "one_step", "worst_case", "gap")
            ),
        ]
        for case in cases
    ]
    return _table(header, rows)


def _curvature_table(found: Mapping[str, Any]) -> str:
    rows = []
    for ball, values in found["eigenvalues"].items():
        trace = found["trace"][ball]
        rows.append(
            [
                ball,
                ", ".join(f"{value:.4g}" for value in values),
                f"{trace['value']:.4g} ± {trace['standard_error']:.2g}",
            ]
        )
    return _table(["ball", "largest eigenvalues", "trace"], rows)


def _table(header: list[str], rows: list[list[str]]) -> str:
    line = lambda cells, tag: "".join(f"<{tag}>{html.escape(x)}</{tag}>" for x in cells)
    lines = [line(header, "th"), *(line(row, "td") for row in rows)]
    return "<table>" + "".join(f"<tr>{cells}</tr>" for cells in lines) + "</table>"


def _image(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="" src="data:image/png;base64,{data}"></p>'
