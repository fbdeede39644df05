"""Where training starts: what is found, what is refused, and that nothing is ever unpickled."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from covidcore.config import Settings
from covidcore.errors import WeightsError
from covidcore.model import weights
from covidcore.model.at_hand import at_hand
from covidcore.model.network import build, head_name
from covidcore.model.transfer import begin, load_into
from covidcore.model.weights import ARCHITECTURES, IMAGENET_FILES, on_disk, resolve

NOWHERE = "http://127.0.0.1:9"  # the port that throws everything away: no connection, at once


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights of this machine's user or the project, and no network, nor in a child process."""
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def donor() -> nn.Module:
    return build("resnet18", 1000, seed=9)


def small(seed: int = 0) -> nn.Module:
    """A network that is made and stored in no time, with its head called fc."""
    torch.manual_seed(seed)
    return nn.ModuleDict(
        {"conv1": nn.Conv2d(3, 4, 3), "bn1": nn.BatchNorm2d(4), "fc": nn.Linear(4, 3)}
    )


def store(model: nn.Module, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    return path


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_a_file_s_backbone_is_taken_and_the_head_is_not(
    donor: nn.Module, tmp_path: Path, settings: Settings, ending: str
) -> None:
    path = store(donor, tmp_path / f"mine.{ending}")
    found = resolve(str(path), "resnet18", settings)
    assert (found.name, found.path) == (path.name, str(path))
    assert (found.mean, found.std) == (weights.IMAGENET_MEAN, weights.IMAGENET_STD)
    model, before = build("resnet18", 3), build("resnet18", 3).state_dict()
    load_into(model, head_name("resnet18"), found)
    for name, tensor in model.state_dict().items():
        expected = before if name.startswith("fc.") else donor.state_dict()
        assert torch.equal(tensor, expected[name]), name


def test_a_head_is_never_the_one_that_the_weights_grew_up_with(
    tmp_path: Path, settings: Settings
) -> None:
    """A network is trained from seed 0, and another with seed 0 from what came of it."""
    grown = build("resnet18", 3, seed=0)
    found = resolve(str(store(grown, tmp_path / "mine.safetensors")), "resnet18", settings)
    begun = begin("resnet18", 3, 0, found)
    assert torch.equal(begun.conv1.weight, grown.conv1.weight)
    for head in (begun.fc.weight, begin("resnet18", 2, 0, found).fc.weight):
        pair = head.flatten(), grown.fc.weight[: len(head)].flatten()  # fewer are drawn alike
        assert torch.nn.functional.cosine_similarity(*pair, dim=0).abs() < 0.1
        assert 0.04 < head.abs().max() <= 512**-0.5
    again, other = begin("resnet18", 3, 0, found), begin("resnet18", 3, 1, found)
    assert torch.equal(again.fc.weight, begun.fc.weight)
    assert not torch.equal(other.fc.weight, begun.fc.weight)


def test_beside_weights_without_a_head_it_is_the_seed_s(
    donor: nn.Module, tmp_path: Path, settings: Settings
) -> None:
    state = {k: v.contiguous() for k, v in donor.state_dict().items() if not k.startswith("fc.")}
    save_file(state, tmp_path / "headless.safetensors")
    found = resolve(str(tmp_path / "headless.safetensors"), "resnet18", settings)
    begun = begin("resnet18", 3, 7, found)
    assert torch.equal(begun.fc.weight, build("resnet18", 3, 7).fc.weight)


def test_the_json_beside_states_the_normalisation(tmp_path: Path, settings: Settings) -> None:
    path = store(small(), tmp_path / "mine.safetensors")
    plain = resolve(str(path), "resnet18", settings)
    about = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3]}
    path.with_suffix(".json").write_text(json.dumps(about))
    described = resolve(str(path), "resnet18", settings)
    assert (described.mean, described.std) == ((0.4, 0.5, 0.6), (0.2, 0.2, 0.3))
    assert described.id != plain.id


@pytest.mark.parametrize(
    "about",
    [
        "",
        "[]",
        "{}",
        '{"mean": [0.5], "std": [0.2]}',
        '{"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0]}',
        '{"mean": [NaN, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}',
        '{"mean": "grey", "std": [0.2, 0.2, 0.2]}',
        '{"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, Infinity]}',
    ],
)
def test_a_json_that_states_no_normalisation_is_refused(
    tmp_path: Path, settings: Settings, about: str
) -> None:
    (tmp_path / "mine.pth").write_bytes(b"x")
    (tmp_path / "mine.json").write_text(about)
    with pytest.raises(WeightsError, match=r"mine\.json does not state mean and std"):
        resolve(str(tmp_path / "mine.pth"), "resnet18", settings)


def without_a_tensor(state: dict[str, torch.Tensor]) -> None:
    del state["conv1.bias"]


def misshapen(state: dict[str, torch.Tensor]) -> None:
    state["conv1.weight"] = torch.zeros(4, 1, 3, 3)


def not_a_number(state: dict[str, torch.Tensor]) -> None:
    state["bn1.weight"] = torch.full((4,), float("nan"))


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
@pytest.mark.parametrize(
    ("damage", "tensor"),
    [
        (without_a_tensor, "conv1.bias"),
        (misshapen, "conv1.weight"),
        (not_a_number, "bn1.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(
    tmp_path: Path,
    settings: Settings,
    damage: Callable[[dict[str, torch.Tensor]], None],
    tensor: str,
    ending: str,
) -> None:
    path = tmp_path / f"bad.{ending}"
    state = {name: value.contiguous() for name, value in small(1).state_dict().items()}
    damage(state)
    if ending == "pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=tensor):
        load_into(model, "fc", resolve(str(path), "resnet18", settings))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_another_network_s_weights_are_refused(tmp_path: Path, settings: Settings) -> None:
    path = store(small(), tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match="does not fit this network"):
        load_into(build("resnet50", 3), "fc", resolve(str(path), "resnet50", settings))


def test_counters_may_be_left_out(donor: nn.Module, tmp_path: Path, settings: Settings) -> None:
    state = {k: v for k, v in donor.state_dict().items() if "num_batches" not in k}
    torch.save(state, tmp_path / "mine.pth")
    load_into(build("resnet18", 3), "fc", resolve(str(tmp_path / "mine.pth"), "resnet18", settings))


def test_the_old_names_of_densenet_are_understood(tmp_path: Path, settings: Settings) -> None:
    model = build("densenet121", 3, seed=4)
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): tensor
        for name, tensor in model.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    fresh = build("densenet121", 3)
    load_into(fresh, "classifier", resolve(str(tmp_path / "old.pth"), "densenet121", settings))
    name = "features.denseblock1.denselayer1.conv2.weight"
    assert torch.equal(fresh.get_parameter(name), model.get_parameter(name))


class Trap:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def as_torch_file(trap: Trap, path: Path) -> None:
    torch.save({"conv1.weight": trap}, path)


def as_plain_pickle(trap: Trap, path: Path) -> None:
    path.write_bytes(pickle.dumps({"conv1.weight": trap}, protocol=2))


def as_hidden_in_a_zip(trap: Trap, path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with zipfile.ZipFile(path) as good:
        parts = {name: good.read(name) for name in good.namelist()}
    with zipfile.ZipFile(path, "w") as bad:
        for name, data in parts.items():
            bad.writestr(name, pickle.dumps(trap, 2) if name.endswith("data.pkl") else data)


@pytest.mark.parametrize("ending", ["pth", "safetensors", "bin"])
@pytest.mark.parametrize("plant", [as_torch_file, as_plain_pickle, as_hidden_in_a_zip])
def test_a_malicious_file_is_never_executed(
    tmp_path: Path, settings: Settings, plant: Callable[[Trap, Path], None], ending: str
) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / f"evil.{ending}"
    plant(Trap(sprung), path)
    with pytest.raises(WeightsError, match="can not be read as weights"):
        load_into(small(), "fc", resolve(str(path), "resnet18", settings))
    assert not sprung.exists()


def test_the_trap_would_spring(tmp_path: Path) -> None:
    as_plain_pickle(Trap(tmp_path / "sprung"), tmp_path / "evil")
    pickle.loads((tmp_path / "evil").read_bytes())
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04", b"\xff" * 64, b"{}" * 50])
def test_a_file_that_holds_no_weights_is_refused(
    tmp_path: Path, settings: Settings, data: bytes, ending: str
) -> None:
    path = tmp_path / f"bad.{ending}"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="can not be read as weights"):
        load_into(small(), "fc", resolve(str(path), "resnet18", settings))


@pytest.mark.parametrize(
    "value",
    [
        [torch.zeros(3)],
        {"conv1.weight": 3},
        {"state_dict": {}},
        {"conv1.weight": torch.zeros(64, 3, 7, 7).to_sparse()},
        {"conv1.weight": torch.zeros(64, 3, 7, 7, device="meta")},
        {"conv1.weight": torch.zeros(64, 3, 7, 7, dtype=torch.complex64)},
    ],
    ids=["list", "number", "nested", "sparse", "meta", "complex"],
)
def test_only_a_plain_table_of_tensors_is_taken(
    tmp_path: Path, settings: Settings, value: object
) -> None:
    torch.save(value, tmp_path / "odd.pth")
    with pytest.raises(WeightsError, match="not a plain table of tensors"):
        load_into(small(), "fc", resolve(str(tmp_path / "odd.pth"), "resnet18", settings))


@pytest.mark.parametrize("name", ["nowhere.pth", "imagnet", "/", "~/", "."])
def test_a_name_that_is_no_file_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(WeightsError, match="There are no weights"):
        resolve(name, "resnet18", settings)


def test_missing_radiograph_weights_say_where_to_put_them(settings: Settings) -> None:
    with pytest.raises(WeightsError) as caught:
        resolve("radiographs", "resnet18", settings)
    assert "resnet18-radiographs.safetensors" in str(caught.value)
    assert "COVIDCORE_WEIGHTS" in str(caught.value)


def test_without_a_network_imagenet_is_a_sentence_and_auto_goes_on(settings: Settings) -> None:
    with pytest.raises(WeightsError) as caught:
        resolve("imagenet", "resnet18", settings)
    assert IMAGENET_FILES["resnet18"] in str(caught.value)
    assert str(settings.home / "weights") in str(caught.value)
    kept = [path.name for path in (settings.home / "weights").iterdir()]
    assert all(name.startswith(".") for name in kept)

    found = resolve("auto", "resnet18", settings)
    assert (found.name, found.id, found.path) == ("none", "none", None)
    assert "random weights" in found.note


def test_auto_takes_the_radiograph_backbone_rather_than_a_download(
    tmp_path: Path, home: Path
) -> None:
    path = store(small(), tmp_path / "mine" / "resnet18-radiographs.pth")
    settings = Settings(home=home, weights=path.parent)
    found = resolve("auto", "resnet18", settings)
    assert (found.name, found.path, found.note) == ("radiographs", str(path), "")
    assert found == resolve("radiographs", "resnet18", settings)
    assert not home.exists()


def ship(folder: Path, **more: object) -> Path:
    """A checkpoint as it comes with the project."""
    path = store(small(), folder / "best.safetensors")
    contract = {"preprocessing": {"mean": [0.4] * 3, "std": [0.3] * 3}, **more}
    path.with_name("contract.json").write_text(json.dumps(contract))
    return path


def test_the_project_s_backbone_is_there_for_its_network_alone(settings: Settings) -> None:
    path = ship(weights.SHIPPED, known={"sha256": "ab", "images": 7})
    found = resolve("radiographs", "resnet18", settings)
    assert (found.name, found.path, found.mean) == ("radiographs", str(path), (0.4, 0.4, 0.4))
    assert found.known == {"sha256": "ab", "images": 7}
    assert on_disk("resnet18", settings)["radiographs"] == str(path)
    with pytest.raises(WeightsError, match="no radiograph backbone for resnet34"):
        resolve("radiographs", "resnet34", settings)
    assert on_disk("resnet34", settings)["radiographs"] is None


def test_one_s_own_backbone_goes_before_the_project_s(tmp_path: Path, home: Path) -> None:
    ship(weights.SHIPPED)
    mine = store(small(), tmp_path / "mine" / "resnet18-radiographs.pth")
    settings = Settings(home=home, weights=mine.parent)
    assert resolve("radiographs", "resnet18", settings).path == str(mine)
    assert at_hand("auto", "resnet18", settings) == resolve("auto", "resnet18", settings)


def test_auto_ends_with_the_project_s_where_imagenet_s_can_not_be_had(settings: Settings) -> None:
    path = ship(weights.SHIPPED)
    assert at_hand("auto", "resnet18", settings) is None  # the network has to be asked first
    found = resolve("auto", "resnet18", settings)
    assert (found.name, found.path, found.note) == ("radiographs", str(path), "")
    assert at_hand("auto", "resnet18", settings) == found


@pytest.mark.parametrize(
    "contract",
    ["", "[]", "{}", '{"preprocessing": {"mean": [0.4, 0.4, 0.4]}}', '{"preprocessing": 3}'],
)
def test_a_checkpoint_whose_contract_says_nothing_is_a_sentence(
    tmp_path: Path, settings: Settings, contract: str
) -> None:
    path = ship(tmp_path / "run")
    path.with_name("contract.json").write_text(contract)
    with pytest.raises(WeightsError, match="does not state mean and std"):
        resolve(str(path), "resnet18", settings)


def test_covidcore_weights_may_name_a_file(tmp_path: Path, home: Path) -> None:
    path = store(small(), tmp_path / "mine" / "backbone.safetensors")
    settings = Settings(home=home, weights=path)
    assert resolve("auto", "resnet18", settings).path == str(path)
    beside = store(small(), path.with_name("resnet18-radiographs.safetensors"))
    assert resolve("radiographs", "resnet18", settings).path == str(beside)


@pytest.mark.parametrize("name", ["imagenet", "auto"])
@pytest.mark.parametrize("where", ["home", "cache", "setting"])
def test_a_file_called_like_imagenet_s_must_be_it(
    tmp_path: Path, home: Path, where: str, name: str
) -> None:
    folder = {
        "home": home / "weights",
        "cache": tmp_path / "torch" / "hub" / "checkpoints",
        "setting": tmp_path / "mine",
    }[where]
    folder.mkdir(parents=True)
    (folder / IMAGENET_FILES["resnet18"]).write_bytes(b"something else")
    settings = Settings(home=home, weights=tmp_path / "mine")
    with pytest.raises(WeightsError, match="is damaged"):
        resolve(name, "resnet18", settings)
    assert on_disk("resnet18", settings)["imagenet"] == str(folder / IMAGENET_FILES["resnet18"])


def test_none_needs_nothing(settings: Settings) -> None:
    found = resolve("none", "resnet18", settings)
    model, before = small(), small().state_dict()
    load_into(model, "fc", found)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert on_disk("resnet18", settings) == {"imagenet": None, "radiographs": None}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_imagenet_s_file_is_one_that_torchvision_offers(arch: str) -> None:
    from torchvision.models import get_model_weights

    urls = [entry.url for entry in get_model_weights(arch)]
    assert any(url.endswith("/" + IMAGENET_FILES[arch]) for url in urls)
