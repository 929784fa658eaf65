from experiments.markdown import aligned_table, markdown_table

HEADER = ["", "rho", "BLEU"]
ROWS = [["SAM", "0.03 (edge)", "22.38"], ["ASAM", "", "not run"]]


def test_a_table_has_a_line_for_each_row():
    expected = """\
|  | rho | BLEU |
| --- | --- | --- |
| SAM | 0.03 (edge) | 22.38 |
| ASAM |  | not run |"""
    assert (
        markdown_table(HEADER, ROWS) == markdown_table(HEADER, iter(ROWS)) == expected
    )


def test_an_aligned_table_has_columns_of_one_width():
    expected = """\
|      | rho         | BLEU    |
| ---- | ----------- | ------- |
| SAM  | 0.03 (edge) | 22.38   |
| ASAM |             | not run |"""
    assert aligned_table(HEADER, ROWS) == aligned_table(HEADER, iter(ROWS)) == expected
