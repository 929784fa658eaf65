"""One runnable module a paper artefact: `python -m experiments.<name> --help`."""
