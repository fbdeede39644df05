"""Settings from the environment."""

from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.errors import CovidcoreError


def test_an_empty_environment_gives_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = Settings(tmp_path / ".covidcore", None, False, "local", 1, None)
    assert Settings.from_environment({}) == expected
    names = ("HOME", "DATA", "DEMO", "RUNNER", "SLOTS", "WEIGHTS", "TRAINING", "BACKEND")
    assert Settings.from_environment({f"COVIDCORE_{name}": " " for name in names}) == expected
    assert not expected.home.exists()


def test_every_variable_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    settings = Settings.from_environment(
        {
            "COVIDCORE_HOME": "here/home",
            "COVIDCORE_DATA": " ~/radiographs ",
            "COVIDCORE_DEMO": "1",
            "COVIDCORE_RUNNER": "ray:http://host:8265",
            "COVIDCORE_SLOTS": "3",
            "COVIDCORE_WEIGHTS": "/weights/resnet18.pth",
            "COVIDCORE_TRAINING": " Off ",
            "COVIDCORE_BACKEND": " ONNX ",
            "COVIDCORE_COMPILE": " inductor ",
        }
    )
    assert settings == Settings(
        home=tmp_path / "here/home",
        data=Path("/home/someone/radiographs"),
        demo=True,
        runner="ray:http://host:8265",
        slots=3,
        weights=Path("/weights/resnet18.pth"),
        training=False,
        backend="onnx",
        compiler="inductor",
    )


@pytest.mark.parametrize(("value", "demo"), [("1", True), (" 1 ", True), ("0", False), ("", False)])
def test_demo(value: str, demo: bool) -> None:
    assert Settings.from_environment({"COVIDCORE_DEMO": value}).demo is demo


def test_the_process_environment_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVIDCORE_HOME", str(tmp_path / "elsewhere"))
    assert Settings.from_environment().home == tmp_path / "elsewhere"


def test_training_is_on_or_off() -> None:
    with pytest.raises(CovidcoreError, match="COVIDCORE_TRAINING is “no”; it must be on or off"):
        Settings.from_environment({"COVIDCORE_TRAINING": "no"})


def test_the_backend_is_one_of_two() -> None:
    with pytest.raises(CovidcoreError, match="COVIDCORE_BACKEND is “jax”; it must be torch or onn"):
        Settings.from_environment({"COVIDCORE_BACKEND": "jax"})


def test_the_home_of_nobody() -> None:
    with pytest.raises(CovidcoreError, match="COVIDCORE_HOME is ~no-such-user/x: there is no such"):
        Settings.from_environment({"COVIDCORE_HOME": "~no-such-user/x"})


@pytest.mark.parametrize("name", ["HOME", "DATA", "WEIGHTS"])
@pytest.mark.parametrize("value", ["s3://bucket/home", " gs://b ", "file:///srv/home"])
def test_an_address_is_no_folder(name: str, value: str) -> None:
    variable = f"COVIDCORE_{name}"
    with pytest.raises(CovidcoreError) as caught:
        Settings.from_environment({variable: value})
    assert str(caught.value) == (
        f"{variable} is {value.strip()}: it must be a folder, not an address. Mount the storage, "
        "and give the folder under which it is seen."
    )


def test_colons_and_slashes_alone_are_no_address(tmp_path: Path) -> None:
    for folder in ("C://data", "a:b", "/a//b"):
        assert Settings.from_environment({"COVIDCORE_HOME": folder}).home.is_absolute()


@pytest.mark.parametrize("text", ["0", "-1", "65", "two", "1.5"])
def test_slots_are_a_number_from_one(text: str) -> None:
    with pytest.raises(CovidcoreError, match=f"COVIDCORE_SLOTS is “{text}”; it must be a number"):
        Settings.from_environment({"COVIDCORE_SLOTS": text})


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Settings(home=Path()).demo = True  # type: ignore[misc]
