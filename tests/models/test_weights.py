"""Weights: where ImageNet's are, what is read from a file, what does not fit."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from phenoviews.errors import UserError
from phenoviews.models import BACKBONES, build, imagenet_source, load_into, load_state

NETWORKS = [kind for kind in BACKBONES if kind not in ("intensity", "timm")]
RESNET = {"kind": "resnet18", "stem": "standard", "width": 1.0, "batch_norm": True, "init": "random"}
NARROW = RESNET | {"width": 0.125, "stem": "small"}


@pytest.mark.parametrize("name", [*NETWORKS, "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "alexnet"])
def test_imagenet_sources_are_torchvisions(name):
    source = imagenet_source(name)
    assert source["url"] == f"https://download.pytorch.org/models/{source['name']}"
    assert source["name"] == f"{name}-{source['sha256_prefix']}.pth".replace("alexnet", "alexnet-owt")
    assert len(source["sha256_prefix"]) == 8


def test_imagenet_weights_are_the_first_version():
    assert imagenet_source("resnet50")["name"] == "resnet50-0676ba61.pth"  # the second is resnet50-11ad3fa6.pth


def test_a_full_torchvision_model_loads_without_its_classifier(tmp_path):
    full = torchvision.models.resnet18()
    torch.save(full.state_dict(), tmp_path / "resnet18.pth")
    model = build(RESNET | {"init": "imagenet"}, weights=tmp_path / "resnet18.pth").eval()
    full.fc, images = torch.nn.Identity(), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(images), full.eval()(images))


def test_a_pretrained_encoder_is_a_local_file(tmp_path):
    encoder = build(NARROW)
    torch.save(encoder.state_dict(), tmp_path / "encoder.pt")
    again = build(NARROW | {"init": str(tmp_path / "encoder.pt")})
    for name, value in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


@pytest.mark.parametrize(("animal", "words"), [("cat", "cat"), ("bird", "chickadee")])
def test_real_imagenet_features(shared_data, animal, words):
    """A real network from an .npz: with its own classifier on our features, a cat is a cat."""
    file = shared_data / "weights" / "mobilenet_v2_imagenet_torchvision_names.npz"
    model = build({"kind": "mobilenet_v2", "stem": "standard", "width": 1.0, "init": str(file)}).eval()
    image = Image.open(shared_data / "weights" / f"{animal}.bmp").convert("RGB").resize((224, 224))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
    state = load_state(file)
    with torch.no_grad():
        logits = model(pixels) @ state["classifier.1.weight"].T + state["classifier.1.bias"]
    labels = (shared_data / "weights" / "imagenet_labels.txt").read_text().splitlines()
    assert words in labels[1 + logits.argmax().item()]  # label 0 is "background", which the network has not


def _hostile() -> bytes:
    class Hostile:
        def __reduce__(self):
            return (Path("harmed").touch, ())

    return pickle.dumps({"conv1.weight": Hostile()}, protocol=2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.pt", None, "no such weights file"),
        ("weights.h5", b"HDF", r"\.pt, \.pth, .*\.safetensors, \.npz files"),
        ("noise.pth", b"not weights at all", "not a readable state dict"),
        ("empty.pt", b"", "not a readable state dict"),
        ("noise.npz", b"not weights at all", "not a readable state dict"),
        ("hostile.pt", _hostile(), "not a readable state dict"),
        ("list.pt", [torch.zeros(1)], "of type list"),
        ("checkpoint.pt", {"optimizer": {"lr": 0.1}, "epoch": 3}, r"optimizer \(dict\), epoch \(int\)"),
        (
            "two.pt",
            {name: {"a": torch.zeros(1)} for name in ("student", "teacher")},
            "several state dicts, student, teac",
        ),
        ("noise.safetensors", b"not weights at all", "not a readable state dict"),
        ("short.safetensors", b"\xff\xff", "not a readable state dict"),
    ],
)
def test_what_is_not_a_state_dict_is_refused(tmp_path, monkeypatch, name, content, said):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=said) as error:
        load_state(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "harmed").exists()


def test_an_npz_of_objects_is_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", **{"conv1.weight": np.array([{}], dtype=object)})
    with pytest.raises(UserError, match=r"objects\.npz.*not a readable state dict"):
        load_state(tmp_path / "objects.npz")


def test_a_truncated_file_is_refused(tmp_path):
    torch.save(build(NARROW).state_dict(), tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"half\.pt"):
        load_state(tmp_path / "half.pt")


def test_an_empty_state_is_a_heads_and_no_backbones(tmp_path):
    torch.save({}, tmp_path / "nothing.pt")
    assert load_state(tmp_path / "nothing.pt") == {}
    with pytest.raises(UserError, match=r"nothing\.pt: these weights do not fit the backbone; missing: .* more; check"):
        build({**NARROW, "init": str(tmp_path / "nothing.pt")})


def test_what_does_not_fit_is_named():
    model = build(NARROW)
    state = model.state_dict()
    before = {k: v.clone() for k, v in state.items()}
    wrong = {k: v + 1 for k, v in state.items() if k != "bn1.weight"}
    wrong |= {"stem.weight": torch.zeros(1), "conv1.weight": torch.zeros(8, 3, 7, 7), "fc.bias": torch.zeros(10)}
    with pytest.raises(UserError) as error:
        load_into(model, wrong, "some.pt")
    said = str(error.value)
    assert said.startswith("some.pt: ")
    assert "missing: bn1.weight;" in said
    assert "unexpected: stem.weight;" in said
    assert "of another shape: conv1.weight (8, 3, 7, 7) for (8, 3, 3, 3);" in said
    assert "fc.bias" not in said
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())  # nothing half-loaded


def test_a_long_list_of_misfits_is_cut():
    with pytest.raises(UserError, match="and 97 more"):
        load_into(build(NARROW), {"fc.weight": torch.zeros(1)}, "some.pt")


def test_batch_norm_counters_may_be_missing():
    model = build(NARROW)
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    load_into(model, state, "old.pth")


def test_standard_weights_do_not_go_with_the_small_stem(tmp_path):
    torch.save(build(RESNET).state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(UserError, match=r"resnet18\.pth.*stem: standard"):
        build(RESNET | {"stem": "small", "init": "imagenet"}, weights=tmp_path / "resnet18.pth")


def test_imagenet_weights_do_not_go_with_another_width(tmp_path):
    with pytest.raises(UserError, match=r"width: 0\.5.*imagenet"):
        build(RESNET | {"width": 0.5, "init": "imagenet"}, weights=tmp_path / "any.pth")


# --- of another's training ---


def same(model, other) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "encoder.", "model.module.base_encoder.", "x0."])
@pytest.mark.parametrize("kind", ["resnet18", "vgg11", "convnext_tiny"])
def test_an_encoder_under_the_names_of_another_training(tmp_path, capsys, kind, prefix):
    entry = NARROW | {"kind": kind, "stem": "standard"}
    encoder = build(entry)
    state = {prefix + name: value for name, value in encoder.state_dict().items() if "num_batches" not in name}
    state |= {f"{prefix}fc.weight": torch.zeros(3, 2)} | ({"projector.0.weight": torch.zeros(2)} if prefix else {})
    torch.save({"state_dict": state, "epoch": 3, "optimizer": {"step": 1}}, tmp_path / "theirs.ckpt")
    found = build(entry | {"init": str(tmp_path / "theirs.ckpt")})
    assert same(encoder, found) or all(
        torch.equal(value, found.state_dict()[name])
        for name, value in encoder.state_dict().items()
        if "num_batches" not in name
    )
    said = capsys.readouterr().err
    assert ("beside" in said) == bool(prefix)
    assert ("projector" in said) == bool(prefix)


def test_of_two_encoders_one_is_chosen(tmp_path):
    query, key = build(NARROW), build(NARROW)
    state = {f"module.encoder_q.{name}": value for name, value in query.state_dict().items()}
    state |= {f"module.encoder_k.{name}": value for name, value in key.state_dict().items()}
    torch.save(state, file := tmp_path / "moco.pth.tar")
    with pytest.raises(
        UserError, match=r"several encoders, under module.encoder_q., module.encoder_k.; .*`prefix: mod"
    ):
        build(NARROW | {"init": str(file)})
    assert same(key, build(NARROW | {"init": str(file), "prefix": "module.encoder_k."}))


def test_a_prefix_that_is_not_there_and_an_encoder_of_another_kind(tmp_path):
    torch.save({f"module.{name}": value for name, value in build(NARROW).state_dict().items()}, tmp_path / "a.pt")
    for change in ({"prefix": "nothing."}, {"kind": "resnet34"}, {"width": 0.25}):
        with pytest.raises(
            UserError, match=r"a\.pt: these weights do not fit the backbone; (missing|of another shape)"
        ):
            build(NARROW | {"init": str(tmp_path / "a.pt")} | change)


def safetensors(state: dict[str, torch.Tensor]) -> bytes:
    """As the format's page has it: a length, a header, the bytes."""
    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, value in state.items():
        data = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
        shape = list(value.shape)
        header[name] = {"dtype": names[value.dtype], "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def test_safetensors(tmp_path):
    state = {
        "a": torch.randn(3, 4),
        "b": torch.arange(5),
        "c": torch.tensor(2.5, dtype=torch.bfloat16),
        "d": torch.empty(0, 3),
        "e": torch.randn(2, dtype=torch.float16),
    }
    (tmp_path / "w.safetensors").write_bytes(safetensors(state))
    found = load_state(tmp_path / "w.safetensors")
    assert list(found) == list(state)
    for name, value in state.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)

    encoder = build(NARROW)
    (tmp_path / "e.safetensors").write_bytes(safetensors(encoder.state_dict()))
    assert same(encoder, build(NARROW | {"init": str(tmp_path / "e.safetensors")}))
    (tmp_path / "cut.safetensors").write_bytes(safetensors(encoder.state_dict())[:-10])
    with pytest.raises(UserError, match=r"cut\.safetensors: not a readable state dict .*are not all there"):
        load_state(tmp_path / "cut.safetensors")


def test_weights_under_a_prefix_fill_a_first_convolution_of_other_channels(tmp_path):
    entry = {"kind": "resnet18", "stem": "standard", "width": 0.125, "batch_norm": True}
    theirs = build({**entry, "init": "random"}).eval()
    file = tmp_path / "theirs.pt"
    torch.save({f"module.encoder.{name}": value for name, value in theirs.state_dict().items()}, file)
    grey = torch.randn(2, 1, 40, 40)
    ours = build({**entry, "init": str(file)}, channels=5).eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(grey.expand(-1, 5, -1, -1)), theirs(grey.expand(-1, 3, -1, -1)))
    with pytest.raises(UserError, match="are of the standard 7 x 7 stem; set the backbone's stem: standard"):
        build({**entry, "stem": "small", "init": str(file)})
