"""What a caller says and what the service was started with become one recipe."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fovea import dialect
from fovea.service.photo.devices import Allowed, Chosen, choose
from fovea.service.photo.options import PredictOptions
from fovea.service.photo.recipe import engine, recipe_of
from fovea.service.settings import ServeConfig

PHOTO = dialect.SAMPLES / "corner" / "corner_00.jpg"
HERE = choose("cpu", cards=[], torch="2.13.0+cpu")


def steps(options: dict[str, Any] | None = None, **groups: dict[str, Any]) -> dict[str, Any]:
    recipe = recipe_of(
        PredictOptions(**options or {}), PHOTO, ServeConfig.model_validate(groups), chosen=HERE
    )
    return {step.key: step.config for step in recipe.steps}


def test_what_the_network_makes_is_not_touched() -> None:
    assert list(steps()) == ["predict"]
    assert list(steps({"size": 1536})) == ["predict"]
    assert list(steps({"size": 5000})) == ["predict"]


def test_a_size_joins_cells_until_the_grid_fits() -> None:
    convert = steps({"size": 1000})["convert"]
    assert (convert.budget, convert.strategy) == (512 * 512 * 2, "merge")
    assert steps(inference={"input_size": [768, 512]})["convert"].budget == 384 * 384 * 2
    assert steps({"size": 1536}, inference={"input_size": [768, 768]}).keys() == {"predict"}


def test_every_option_reaches_its_stage() -> None:
    found = steps(
        {
            "focal_mm": 35,
            "format": "glb",
            "max_gaussians": 1000,
            "opacity_min": 0.1,
            "coordinate": "opengl",
            "color_space": "linear",
            "size": 512,
            "video": "swipe",
        }
    )
    assert found["predict"].photograph.focal_mm == 35
    convert = found["convert"]
    assert (convert.format, convert.budget, convert.opacity_min) == ("glb", 1000, 0.1)
    assert (convert.axes, convert.colors) == ("opengl", "keep")
    assert found["film"].trajectory == "swipe"
    assert steps({"focal_px": 900})["predict"].photograph.focal_px == 900


def test_saving_memory_makes_the_pieces_smaller() -> None:
    plain, saving = ServeConfig(), {"gradient_checkpointing": True, "checkpoint_segments": 3}
    assert (engine(plain, HERE)["crops"], engine(plain, HERE)["tile"]) == (5, 256)
    small = engine(ServeConfig.model_validate({"optimization": saving}), HERE)
    assert (small["crops"], small["tile"]) == (2, 85)


def test_numbers_of_the_layers_follow_the_settings(tmp_path: Path) -> None:
    def precision(chosen: Chosen = HERE, **groups: dict[str, Any]) -> str:
        return engine(ServeConfig.model_validate(groups), chosen)["precision"]

    assert precision() == "auto"
    assert precision(choose("cpu", allowed=Allowed(amp=False), cards=[], torch="")) == "float32"
    assert precision(optimization={"enable_quantization": True}) == "int8"
    static = {"enable_quantization": True, "quantization_mode": "static"}
    assert precision(optimization=static, model={"checkpoint": str(tmp_path)}) == "auto"
    with pytest.raises(ValidationError, match=r"fovea photo\.export"):
        ServeConfig.model_validate({"optimization": static})


def test_the_checkpoint_is_the_services_and_not_the_callers() -> None:
    assert (
        engine(ServeConfig.model_validate({"model": {"checkpoint": "lite"}}), HERE)["weights"]
        == "lite"
    )
    with pytest.raises(ValidationError, match="weights"):
        PredictOptions.model_validate({"weights": "other.pt"})
