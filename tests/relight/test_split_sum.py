from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from fovea.relight.light import latlong
from fovea.relight.shading import brdf, table
from fovea.relight.shading.split_sum import BlurredLight, remap_roughness, shade, shade_linear
from fovea.relight.shading.tonemap import aces, display

# Closed formulas in float64 agree to their last digits.
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


def arrays(path: Path) -> dict[str, torch.Tensor]:
    found = np.load(path)
    return {name: torch.from_numpy(found[name]) for name in found}


@pytest.fixture(scope="module")
def golden(goldens: Path) -> dict[str, torch.Tensor]:
    return arrays(goldens / "inverse-rendering/split_sum.npz")


@pytest.fixture(scope="module")
def published_table(goldens: Path) -> torch.Tensor:
    return arrays(goldens / "inverse-rendering/brdf_lut.npz")["lut"].double()


def light(golden: dict[str, torch.Tensor]) -> BlurredLight:
    return BlurredLight(golden["diffuse_cube"], [golden[f"spec{level}"] for level in range(3)])


def surface(golden: dict[str, torch.Tensor], *, metal: bool) -> dict[str, torch.Tensor | None]:
    return {
        "normals": golden["normals"],
        "view": golden["view_dirs"],
        "albedo": golden["albedo"],
        "roughness": golden["roughness"],
        "metallic": golden["metallic"] if metal else None,
        "visibility": golden["occlusion"],
        "irradiance": golden["irradiance"],
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOVEA_CACHE", str(tmp_path_factory.mktemp("cache")))
        table._kept.cache_clear()
        return table.table()


def test_the_table_is_the_references(made, goldens: Path):
    expected = arrays(goldens / "inverse-rendering/brdf_lut.npz")["lut"]
    torch.testing.assert_close(made, expected, rtol=0, atol=5e-4)


def test_the_table_is_kept_on_disk_and_made_again_when_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FOVEA_CACHE", str(tmp_path))
    made = []
    monkeypatch.setattr(
        table, "integrate", lambda size: made.append(size) or np.ones((size, size, 2))
    )
    for _ in range(2):
        table._kept.cache_clear()
        assert table.table(8).sum() == 128
    assert made == [8]
    (kept,) = (tmp_path / "tables").iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", whole[:200], whole.replace(b"(8, 8, 2)", b"(4, 4, 8)")):
        kept.write_bytes(damaged)
        table._kept.cache_clear()
        assert table.table(8).shape == (8, 8, 2)
    assert made == [8] * 4
    table._kept.cache_clear()


def test_several_writers_leave_one_whole_table(tmp_path: Path):
    path, values = tmp_path / "tables/split_sum.npy", np.random.default_rng(0).random((64, 64, 2))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: table._keep(path, values), range(16)))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert np.array_equal(np.load(path), values)


@pytest.mark.parametrize("roughness", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("n_dot_v", [0.2, 0.7])
def test_the_table_is_what_the_brdf_gives_back_of_an_even_light(made, roughness, n_dot_v):
    normal = torch.tensor([0.0, 0, 1], dtype=torch.float64)
    view = torch.tensor([(1 - n_dot_v**2) ** 0.5, 0, n_dot_v], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    points = brdf.hammersley(8192, dtype=torch.float64)
    drawn, pdf = brdf.sample_ggx(normal, view, roughness * one, points)
    at = torch.tensor(n_dot_v).float(), torch.tensor(roughness).float()
    scale, bias = table.lookup(made, *at)
    for f0 in (0.1, 0.8):
        # A metal of this albedo has no diffuse part and this F0.
        out = brdf.evaluate(normal, view, drawn, f0 * torch.ones_like(normal), roughness * one, one)
        estimate = (out / pdf.unsqueeze(-1)).mean(dim=0)[0]
        assert estimate.item() == pytest.approx((f0 * scale + bias).item(), rel=5e-3)


def test_lookups_are_the_references_and_stay_inside(golden, published_table):
    n_dot_v = (golden["normals"] * golden["view_dirs"]).sum(dim=-1).clamp_min(0)
    found = table.lookup(published_table, n_dot_v, golden["roughness"].squeeze(-1))
    torch.testing.assert_close(found, golden["fg"], **TIGHT)
    beyond = table.lookup(
        published_table, torch.tensor([2.0]).double(), torch.tensor([3.0]).double()
    )
    torch.testing.assert_close(beyond[0], published_table[-1, -1])


def test_what_is_not_a_number_stays_one_and_harms_nothing_else(published_table):
    nothing = torch.tensor([float("nan"), 0.5], dtype=torch.float64, requires_grad=True)
    found = table.lookup(published_table, nothing, nothing)
    found.nansum().backward()
    assert found.isnan().all(dim=-1).tolist() == [True, False]
    assert nothing.grad[1].isfinite()


@pytest.mark.parametrize("metal", [False, True])
def test_the_parts_are_the_references(golden, published_table, metal):
    shaded = shade_linear(light(golden), published_table, **surface(golden, metal=metal))
    kind = "metal" if metal else "nometal"
    torch.testing.assert_close(shaded.diffuse_light, golden["diffuse_light"], **TIGHT)
    torch.testing.assert_close(shaded.diffuse, golden["diffuse_rgb"], **TIGHT)
    torch.testing.assert_close(shaded.specular, golden[f"specular_rgb_{kind}"], **TIGHT)
    torch.testing.assert_close(shaded.color, shaded.diffuse + shaded.specular)


@pytest.mark.parametrize("tone", [False, True])
@pytest.mark.parametrize("gamma", [False, True])
@pytest.mark.parametrize("metal", [False, True])
def test_every_combination_of_flags_is_the_references(golden, published_table, tone, gamma, metal):
    shown = shade(
        light(golden),
        published_table,
        mask=golden["mask"],
        tone=tone,
        gamma=gamma,
        **surface(golden, metal=metal),
    )
    expected = golden[f"render_tone{tone:d}_gamma{gamma:d}_metal{metal:d}"]
    torch.testing.assert_close(shown, expected, **TIGHT)


def test_gradients_are_the_references(golden, published_table):
    names = ("albedo", "roughness", "metallic", "occlusion", "irradiance", "diffuse_cube")
    names += ("spec0", "spec1", "spec2")
    leaves = golden | {name: golden[name].clone().requires_grad_() for name in names}
    shown = shade(
        light(leaves),
        published_table,
        mask=golden["mask"],
        gamma=True,
        **surface(leaves, metal=True),
    )
    (shown * golden["cot"]).sum().backward()
    for name in names:
        expected = golden["grad_diffuse" if name == "diffuse_cube" else f"grad_{name}"]
        torch.testing.assert_close(leaves[name].grad, expected, rtol=1e-9, atol=1e-11)


def test_metals_have_no_diffuse_part_when_energy_is_conserved(golden, published_table):
    of = surface(golden, metal=True) | {"metallic": torch.ones_like(golden["metallic"])}
    shaded = shade_linear(light(golden), published_table, energy_conserving=True, **of)
    assert shaded.diffuse.abs().max() == 0


def test_under_an_even_light_the_split_sum_is_the_integral_of_the_brdf(made):
    white = torch.ones(6, 16, 16, 3)
    even = BlurredLight(white, [white, white, white])
    normals = torch.tensor([[0.0, 0, 1]])
    view = torch.tensor([[0.6, 0, 0.8]])
    albedo = torch.tensor([[0.7, 0.5, 0.2]])
    for roughness, metallic in ((0.4, 0.0), (0.8, 0.5)):
        of = {"roughness": torch.tensor([[roughness]]), "metallic": torch.tensor([[metallic]])}
        shaded = shade_linear(
            even, made, normals=normals, view=view, albedo=albedo, energy_conserving=True, **of
        )
        around, angles = latlong.directions(200, 400), latlong.solid_angles(200, 400)
        response = brdf.evaluate(normals, view, around.reshape(-1, 1, 3), albedo, **of)
        integral = (response.squeeze(1) * angles.reshape(-1, 1)).sum(dim=0)
        torch.testing.assert_close(shaded.color[0], integral, rtol=3e-3, atol=0)


def test_roughness_is_kept_from_zero():
    assert remap_roughness(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([0.04, 1])


def test_the_tone_curve_is_the_references_and_display_ends_at_white(goldens: Path):
    curve = arrays(goldens / "inverse-rendering/tonemap.npz")
    torch.testing.assert_close(aces(curve["x"]), curve["aces"], **TIGHT)
    bright = torch.tensor([-1.0, 0, 5, 1e6])
    assert display(bright).tolist() == pytest.approx([0, 0, 1, 1])
    assert display(bright, gamma=False).tolist() == [0, 0, 1, 1]
