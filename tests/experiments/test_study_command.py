import pytest

from experiments.label_noise import Study
from experiments.settings_error import SettingsError
from experiments.small_cifar10 import SmallStudy
from experiments.study_command import command
from experiments.training.run_folder import RunFolderError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SettingsError("no such rho"), "error: no such rho"),
        (FileNotFoundError("no data"), "error: no data"),
        (RunFolderError("no such folder"), "error: no such folder"),
        (KeyboardInterrupt(), "the same command goes on"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(monkeypatch, error, message):
    def main(options):
        assert options.epochs == 3
        raise error

    monkeypatch.setattr("sys.argv", ["study", "--epochs", "3"])
    with pytest.raises(SystemExit, match=message):
        command(SmallStudy, main, "")


def test_a_fault_of_the_code_keeps_its_traceback(monkeypatch):
    def main(options):
        raise ValueError("shapes do not fit")

    monkeypatch.setattr("sys.argv", ["study"])
    with pytest.raises(ValueError, match="shapes do not fit"):
        command(SmallStudy, main, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epochs", "0"], "epochs must be at least 1"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--seeds", "0", "0"], "each once"),
        (["--sam-rhos", "0.1"], "equally long"),
    ],
)
def test_settings_that_cannot_work_are_refused_as_they_are_read(
    monkeypatch, capsys, arguments, words
):
    def main(options):
        pytest.fail("it ran")

    monkeypatch.setattr("sys.argv", ["label_noise", *arguments])
    with pytest.raises(SystemExit) as caught:
        command(Study, main, "")
    assert caught.value.code not in (0, None)
    printed = capsys.readouterr()
    text = f"{printed.out} {printed.err} {caught.value.code}".replace("\u2502", " ")
    assert words in " ".join(text.split())
