import pytest

from experiments.settings_error import SettingsError
from experiments.small_cifar10 import SmallStudy
from experiments.study_command import command


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SettingsError("no such rho"), "error: no such rho"),
        (FileNotFoundError("no data"), "error: no data"),
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
