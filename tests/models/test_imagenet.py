"""ImageNet weights: fetched and verified, or the reason why not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from phenoviews.errors import UserError
from phenoviews.models import imagenet


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Path:
    """A folder in torchvision's place, with the file that it promises."""
    content = b"weights"
    prefix = hashlib.sha256(content).hexdigest()[:8]
    file = tmp_path / "mirror" / f"resnet18-{prefix}.pth"
    file.parent.mkdir()
    file.write_bytes(content)
    source = {"url": file.as_uri(), "name": file.name, "sha256_prefix": prefix}
    monkeypatch.setattr(imagenet, "imagenet_source", lambda name: source)
    return file


def test_weights_are_fetched_beside_what_says_so(tmp_path, mirror):
    out = tmp_path / "results" / "resnet18.json"
    imagenet.download("resnet18", out)
    file = out.parent / mirror.name
    assert file.read_bytes() == b"weights"
    assert imagenet.located([str(out)]) == (file, None)
    assert imagenet.required([str(out)]) == file


@pytest.mark.parametrize("harm", [lambda f: f.write_bytes(b"other weights"), lambda f: f.unlink()])
def test_wrong_or_absent_weights_are_a_reason(tmp_path, mirror, harm):
    harm(mirror)
    out = tmp_path / "results" / "resnet18.json"
    imagenet.download("resnet18", out)
    said = json.loads(out.read_text())
    assert said["file"] is None
    assert "resnet18" in said["reason"]
    assert [f.name for f in out.parent.iterdir() if f.suffix == ".pth"] == []
    assert imagenet.located([str(out)]) == (None, said["reason"])
    with pytest.raises(UserError, match="no ImageNet weights of resnet18"):
        imagenet.required([str(out)])


def test_a_users_file_and_no_file():
    assert imagenet.located(["mine.pth"]) == (Path("mine.pth"), None)
    assert imagenet.required([]) is None
