"""What the documents promise is checked: commands, settings, recipe fields, presets, links."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from covidcore.cli import main
from covidcore.config import DISCLAIMER
from covidcore.training.recipe import PRESETS, Recipe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_two_commands_are_one_line_each_and_name_files_that_exist() -> None:
    commands = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
    assert len(commands) == 2
    install, test = commands
    assert install.endswith(".venv/bin/streamlit run streamlit_app.py")
    assert test.endswith(".venv/bin/python -m pytest")
    for command in commands:
        for file in re.findall(r"[\w-]+\.(?:txt|py)\b", command):
            assert (ROOT / file).is_file()


def test_ci_runs_the_readme_s_test_command() -> None:
    pattern = re.search(r"s/\^\\\((.+?)\\\)\$/", (ROOT / ".ci" / "run").read_text())
    assert pattern
    assert len(re.findall(f"^{pattern[1]}$", README, re.MULTILINE)) == 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


def test_readme_names_every_setting_and_preset() -> None:
    source = (ROOT / "covidcore" / "config.py").read_text("utf-8")
    for variable in set(re.findall(r"COVIDCORE_[A-Z]+", source)):
        assert f"`{variable}`" in README
    for preset in PRESETS:
        assert f"| `{preset}` |" in README


def test_the_recipe_table_says_what_the_presets_hold() -> None:
    rows = {}
    for line in (ROOT / "docs" / "recipes.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith("`"):
            rows[cells[0].strip("`")] = cells[2:]
    fields = {field.name for field in dataclasses.fields(Recipe)} - {"preset"}
    assert set(rows) == fields
    for column, name in enumerate(("quick", "standard", "full", "writeup")):
        for field in fields:
            value = getattr(PRESETS[name].recipe, field)
            shown = rows[field][column]
            if isinstance(value, bool | str | tuple):
                assert shown == (
                    ",".join(value) if isinstance(value, tuple) else str(value)
                ).replace("True", "true").replace("False", "false")
            else:
                assert float(shown) == value, (field, name)


def test_every_shown_command_is_one_that_the_program_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = set(re.findall(r"python -m covidcore (\w+)", README))
    assert {"scan", "train", "runs", "evaluate", "predict", "doctor"} <= shown
    for verb in shown:
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
    assert "usage" in capsys.readouterr().out


def test_the_disclaimer_is_where_people_look() -> None:
    assert "not a medical device" in README
    assert "not a medical device" in DISCLAIMER


def test_requirements_need_no_lock_and_pin_no_torch() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    bounds = {one.name: {part.operator for part in one.specifier} for one in wanted}
    assert bounds["torch"] <= {">="} and not bounds["torchvision"]
    assert not (ROOT / "uv.lock").exists()
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert {"light", "dark"} <= set(config["theme"])


def test_the_lock_holds_every_requirement_with_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text  # of whoever made it: where packages come from is the user's choice
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    pins: dict[str, list[str]] = {}
    for entry in entries:
        found = re.match(r"([a-z0-9.-]+)(?:\[[a-z,]+\])?==(\S+)", entry)
        assert found and "--hash=sha256:" in entry, entry[:60]
        pins.setdefault(found[1], []).append(found[2])
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            wanted = Requirement(line)
            assert all(version in wanted.specifier for version in pins[wanted.name]), line
    assert "requirements.lock" in (ROOT / "docs" / "security.md").read_text("utf-8")


def test_the_server_is_shipped_closed() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    server = config["server"]
    assert server["enableXsrfProtection"] is True and server["enableCORS"] is True
    assert server["maxUploadSize"] <= 25 and server["maxWidgetStateSize"] <= 1
    assert not {"corsAllowedOrigins", "enableStaticServing", "enableAgentApi"} & set(server)
    assert config["client"]["showErrorDetails"] == "type"
    assert config["browser"]["gatherUsageStats"] is False


def test_each_test_that_security_names_is_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 15
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text("utf-8"), (file, test)
