"""The figures in both READMEs are those of the files under experiments/results."""

import json
import pathlib
import re

import pytest

from experiments.statistics import mean_of

ROOT = pathlib.Path(__file__).parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "experiments" / "results"
DIGITS = RESULTS / "digits.json"


def test_the_demo_table_is_that_of_the_results_file():
    results = json.loads(DIGITS.read_text())["results"]
    pattern = r"^\| \d+ % \| (?:SGD|SAM|ASAM).*\|$"
    rows = re.findall(pattern, README.read_text(), flags=re.MULTILINE)
    assert len(rows) == len(results)
    for row, result in zip(rows, results, strict=True):
        assert row.startswith(
            f"| {100 * result['noise_rate']:g} % | {result['method']}"
        )
        last = result["test_last"]
        mean, error = 100 * last["mean"], 100 * last["standard_error"]
        assert row.endswith(f"| {mean:.2f} ± {error:.2f} |")


@pytest.mark.parametrize(("rate", "label"), [(0.0, "0 %"), (0.4, "40 %, redrawn")])
def test_the_label_noise_table_is_that_of_the_results_file(rate, label):
    runs = json.loads((RESULTS / "label_noise.json").read_text())["runs"]
    chosen = {"sgd": 0.0, "sgd-2x": 0.0, "sam": 0.3, "asam": 2.0}
    (row,) = re.findall(
        rf"^\| {label}[^|]*\| (\d.*) \|$", README.read_text(), flags=re.MULTILINE
    )
    cells = row.split(" | ")
    for cell, (method, rho) in zip(cells, chosen.items(), strict=True):
        wanted = (rate, method, rho)
        accuracies = [
            run["last_test_accuracy"]
            for run in runs
            if (run["noise_rate"], run["method"], run["rho"]) == wanted
        ]
        assert len(accuracies) == 3
        assert cell == mean_of(accuracies).percent()


def test_the_translation_table_is_that_of_the_results_file():
    runs = json.loads((RESULTS / "translation.json").read_text())["runs"]
    chosen = {"adam": 0.0, "adam-2x": 0.0, "sam": 0.03, "asam": 0.1}
    cells = []
    for method, rho in chosen.items():
        scores = [
            run["test_bleu"]
            for run in runs
            if (run["method"], run["rho"]) == (method, rho)
        ]
        assert len(scores) == 2
        cells.append(mean_of(scores).text())
    assert f"\n| {' | '.join(cells)} |\n" in README.read_text()


def test_the_speed_of_the_loop_is_that_of_the_results_file():
    record = json.loads((RESULTS / "loop.json").read_text())
    pattern = (
        r"in the loop takes ([\d.]+) times the bare step, median of (\d+) pairs "
        r"\(([\d.]+) to ([\d.]+)\)"
    )
    text = (ROOT / "experiments" / "README.md").read_text()
    ((ratio, pairs, *ends),) = re.findall(pattern, text)
    assert ratio == f"{record['ratio']['median']:.2f}"
    assert int(pairs) == record["options"]["blocks"]
    assert ends == [f"{record['ratio'][end]:.2f}" for end in ("least", "most")]


def in_words(values):
    return f"{min(values):.2f} to {max(values):.2f}"


def test_what_a_step_costs_is_what_the_results_file_says():
    record = json.loads((RESULTS / "benchmark.json").read_text())
    text = " ".join((ROOT / "experiments" / "README.md").read_text().split())
    nets, grown = [*record["nets"].values()], record["growth"]

    def against(programs, ours, peer):
        compared = [found for p in programs for found in p["against_peers"]]
        return in_words(
            [
                found["ratio"]["median"]
                for found in compared
                if (found["ours"], found["peer"]) == (ours, peer)
            ]
        )

    sam, asam = "SAM, asam_jax", "ASAM, asam_jax"
    opaque, transparent = "SAM, optax opaque", "SAM, optax transparent"
    by_hand = "ASAM, by hand"
    steps = [net["methods"][x]["ratio"]["median"] for net in nets for x in (sam, asam)]
    assert f"SAM and ASAM take {in_words(steps)} of SGD's" in text
    assert (
        f"mode our SAM takes {against(nets, sam, opaque)} times as long on the nets "
        f"and {against(grown, sam, opaque)} on MLPs of any size and batch"
    ) in text
    assert (
        f"our ASAM {against(nets, asam, by_hand)} and {against(grown, asam, by_hand)}"
    ) in text
    in_a_branch = against(nets, f"{sam}, in a branch", transparent)
    assert (
        f"transparent mode it takes {against(nets, sam, transparent)} times as long, "
        f"and {in_a_branch} where"
    ) in text

    ascents = [record["ascent"][str(10**i)] for i in range(4, 9)]
    shares = [
        [
            f"{ascent['methods'][x]['times_necessary']['median']:.2f}"
            for x in (asam, sam)
        ]
        for ascent in ascents[3:]
    ]
    (asam_7, sam_7), (asam_8, sam_8) = shares
    assert f"takes {asam_7} (10^7 parameters) and {asam_8} (10^8) times" in text
    assert f"for ASAM, {sam_7} and {sam_8} for SAM" in text
    alone = against(ascents, sam, "SAM, optax")
    assert f"our SAM takes {alone} times as long as Optax's" in text
    large = against(ascents[3:], asam, by_hand)
    assert f"ASAM {large} times as long as by hand from 10^7" in text
    small = against(ascents[1:2], asam, by_hand).split()[0]
    assert f"{small} times as long for 10^5" in text


def cells_of(name):
    """The rows of the tables of a results file, in order."""
    lines = (RESULTS / name).read_text().splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("|")]
    return [[cell.strip("* ") for cell in row] for row in rows]


def readme_text():
    return " ".join(README.read_text().split())


def test_the_balls_are_those_of_the_results_file():
    last = {row[0]: row[4] for row in cells_of("normalization.md")[2:]}
    percent = lambda name: f"{float(last[name]):.1f}"
    text = readme_text()
    for words, name in {
        "filter-wise ({} %)": "filter-wise, p = 2",
        "element-wise with p = inf ({} %)": "element-wise, p = inf",
        "element-wise with biases ({} %)": "element-wise with biases, p = 2",
        "without ({} %, the paper's choice)": "element-wise, p = 2 (ASAM)",
        "layer-wise ({} %)": "layer-wise, p = 2",
        "SGD has {} %": "SGD",
    }.items():
        assert words.format(percent(name)) in text


def test_the_correlations_are_those_of_the_results_file():
    header, _, tau, *_ = cells_of("correlation.md")
    two_digits = lambda cell: re.sub(
        r"\d\.\d+", lambda number: f"{float(number[0]):.2f}", cell
    )
    found = {name: two_digits(cell) for name, cell in zip(header, tau, strict=False)}
    plain, adaptive = found["sharpness, p = 2"], found["adaptive, p = 2"]
    assert f"tau is {adaptive} against {plain} for p = 2" in readme_text()
    plain, adaptive = (
        found[f"{name}, p = ∞"].split()[0] for name in ("sharpness", "adaptive")
    )
    assert f"and {adaptive} against {plain} for p = inf" in readme_text()


def test_the_frontier_is_that_of_the_results_file():
    records = [
        json.loads((RESULTS / f"frontier-{part}.json").read_text())
        for part in ("digits", "cifar10")
    ]

    def accuracies(method, *radii):
        for record, rho in zip(records, radii, strict=True):
            tests = [
                100 * run["test"]
                for run in record["results"]
                if (run["method"], run["rho"]) == (method, rho)
            ]
            assert len(tests) > 2
            mean = mean_of(tests)
            yield f"{mean.mean:.1f} ± {mean.standard_error:.1f}"

    text = readme_text()
    digits, images = accuracies("msam", 2.0, 1.8)
    assert f"MSAM has {digits} and {images} %" in text
    digits, images = accuracies("asam", 1.0, 2.0)
    assert f"ASAM {digits} and {images}" in text
    digits, images = accuracies("sgd", 0.0, 0.0)
    assert f"SGD {digits} and {images}" in text
    _, images = accuracies("asam-random", 10.0, 10.0)
    assert f"random direction does as well ({images})" in text
    _, images = accuracies("sam", 0.42, 0.3)
    assert f"best on the images ({images})" in text
