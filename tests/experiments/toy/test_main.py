import json

from experiments.toy.__main__ import Options, main


def test_it_writes_tables_record_and_figures(tmp_path, capsys):
    main(Options(out=tmp_path / "new"))
    text = (tmp_path / "new/toy.md").read_text()
    assert text in capsys.readouterr().out
    rows = [
        line.strip("| ").split(" | ")
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    assert [
        "SAM",
        "(0.2, 0.05)",
        "(0.2066, 0.195)",
        "0.0003",
        "0.0042",
        "0.0515",
    ] in rows
    assert [
        "ASAM, eta 0, p = 2",
        *("(3, 0.333)", "1.312595", "(3.849, 0.428)", "1.312595"),
    ] in rows
    assert len(rows) == 2 * (2 + 8)  # With a header and the line below it.

    record = json.loads((tmp_path / "new/toy.json").read_text())
    assert str(tmp_path) not in json.dumps({**record, "command": None})
    assert record["versions"]["jax"]
    way = record["trajectories"]["ways"][-1]
    assert (way["method"], len(way["w1"])) == ("ASAM, eta 0.01", 101)
    assert way["end"] == [way["w1"][-1], way["w2"][-1]]
    for name in ("toy_trajectories.png", "toy_balls.png"):
        assert (tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG")
