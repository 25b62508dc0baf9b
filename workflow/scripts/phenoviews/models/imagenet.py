"""ImageNet weights on demand: downloaded and verified once, or a written reason why there are none."""

from __future__ import annotations

from pathlib import Path

from phenoviews.errors import UserError
from phenoviews.files import read_json, write_json
from phenoviews.models.weights import imagenet_source


def download(name: str, out: Path) -> None:
    """Download torchvision's ImageNet weights of the model `name` (such as `vgg11_bn`) beside `out`, and write to
    `out` (JSON) where they are: `{"file": path, "reason": null}`, or `{"file": null, "reason": why}`.

    That there are none is an answer, not a failure: a table says it in the cell that needs them.
    """
    from phenoviews.data.download import fetch  # here, since who only asks where weights are downloads nothing

    source = imagenet_source(name)
    file = out.parent / source["name"]
    try:
        fetch(
            [source["url"].removesuffix(source["name"])],
            {"name": source["name"], "sha256_prefix": source["sha256_prefix"]},
            file,
        )
    except UserError as error:
        write_json(out, {"file": None, "reason": f"no ImageNet weights of {name} ({error})"})
    else:
        write_json(out, {"file": str(file), "reason": None})


def located(inputs: list[str]) -> tuple[Path | None, str | None]:
    """What a rule was given for weights → (their file, the reason why there is none).

    `inputs`: nothing, a weights file, or what `download` wrote.
    """
    if not inputs:
        return None, None
    (file,) = inputs
    if Path(file).suffix != ".json":
        return Path(file), None
    said = read_json(file)
    return (Path(said["file"]), None) if said["file"] else (None, said["reason"])


def required(inputs: list[str]) -> Path | None:
    """As `located`, for a stage that cannot go on without: `UserError` with the reason."""
    file, reason = located(inputs)
    if reason:
        raise UserError(f"{reason}; set `init` to a local weights file, or try again with `snakemake -R weights`")
    return file
