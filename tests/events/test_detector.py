"""The detector against the reference's outputs, and what holds for any weights."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from fovea.errors import ConfigError
from fovea.events.model.architecture import Architecture
from fovea.events.model.detector import Detector, at_frames
from fovea.events.model.memory import detach, reset
from fovea.events.sensor import GEN1, GEN4, Sensor

SIZES = {"t": "tiny", "s": "small", "b": "base"}
SENSORS = {"gen1": GEN1, "gen4": GEN4}
MICRO = Sensor("micro", 48, 64, ("car", "pedestrian"))
BOX_PX, BOX_RELATIVE, PROBABILITY, STATE = 1e-4, 1e-3, 1e-5, 1e-5
"""What the specification of the goldens allows."""


def require_near(predictions: torch.Tensor, golden: np.ndarray) -> None:
    found = predictions.numpy()
    np.testing.assert_allclose(
        found[..., :4], golden[..., :4], rtol=BOX_RELATIVE, atol=BOX_PX, err_msg="boxes"
    )
    np.testing.assert_allclose(
        found[..., 4:], golden[..., 4:], rtol=0, atol=PROBABILITY, err_msg="probabilities"
    )


def input_of(fill, goldens, name: str) -> tuple[torch.Tensor, dict]:
    case = json.loads((goldens / "events" / "model_meta.json").read_text())["cases"][name]
    made = fill.make_input(case["input"]["name"], case["input"]["shape"])
    assert fill.checksum(made) == case["input"]["crc32"], "the input is not the reference's"
    return torch.from_numpy(made), case


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("size", SIZES)
def test_weights_have_the_names_shapes_and_order_of_published_ones(goldens, size, sensor) -> None:
    golden = json.loads((goldens / "events" / f"keys_rvt-{size}_{sensor}.json").read_text())
    with torch.device("meta"):
        detector = Detector(Architecture.of(SIZES[size], SENSORS[sensor]))
    shapes = {name: list(each.shape) for name, each in detector.state_dict().items()}
    assert list(shapes.items()) == list(golden["shapes"].items())
    assert sorted(dict(detector.named_buffers())) == sorted(golden["buffers"])
    for part, key in (
        (detector, "num_params"),
        (detector.backbone, "num_params_backbone"),
        (detector.fpn, "num_params_fpn"),
        (detector.yolox_head, "num_params_head"),
    ):
        assert sum(p.numel() for p in part.parameters()) == golden[key]


@pytest.mark.parametrize("size", ["t", "s"])
def test_small_frames_give_the_reference_s_boxes_features_and_states(
    goldens, fill, filled, size
) -> None:
    name = f"model_small_rvt-{size}"
    golden = np.load(goldens / "events" / f"{name}.npz")
    histograms, case = input_of(fill, goldens, name)
    detector = filled(Architecture.of(SIZES[size], MICRO))
    assert detector.architecture.padded(48, 64) == tuple(case["padded_hw"])
    reset_at, which = case["reset"]
    states = None
    for step, now in enumerate(histograms):
        if step == reset_at:
            is_first = torch.zeros(len(now), dtype=torch.bool)
            is_first[which] = True
            states = reset(states, is_first)
        with torch.no_grad():
            features, states = detector.backbone_features(now, states)
            levels = detector.fpn(features)
            predictions = detector.predict(features)
        require_near(predictions, golden[f"t{step}_pred"])
        for number, (h, c) in enumerate(states, start=1):
            np.testing.assert_allclose(h.numpy(), golden[f"t{step}_h{number}"], atol=STATE, rtol=0)
            np.testing.assert_allclose(c.numpy(), golden[f"t{step}_c{number}"], atol=STATE, rtol=0)
        for number, level in enumerate(levels):
            np.testing.assert_allclose(
                level.numpy(), golden[f"t{step}_fpn{number}"], atol=1e-4, rtol=1e-4
            )


def test_each_block_of_the_first_stages_gives_the_reference_s_tokens(goldens, fill, filled) -> None:
    golden = np.load(goldens / "events" / "model_small_rvt-t.npz")
    histograms, _ = input_of(fill, goldens, "model_small_rvt-t")
    detector = filled(Architecture.of("tiny", MICRO))
    seen: dict[str, torch.Tensor] = {}
    for number in (1, 2):
        stage = detector.backbone.stages[number - 1]
        stage.downsample_cf2cl.register_forward_hook(
            lambda _, __, out, n=number: seen.update({f"s{n}_down": out})
        )
        stage.att_blocks[0].register_forward_hook(
            lambda _, __, out, n=number: seen.update({f"s{n}_grid": out})
        )
    with torch.no_grad():
        detector(histograms[0])
    for name, found in seen.items():
        np.testing.assert_allclose(
            found.numpy(), golden[f"trace_{name}_nhwc"], atol=1e-5, rtol=1e-4, err_msg=name
        )


def test_hidden_tokens_are_the_reference_s(goldens, fill, filled) -> None:
    name = "model_small_rvt-t_mask"
    golden = np.load(goldens / "events" / f"{name}.npz")
    histograms, _ = input_of(fill, goldens, name)
    detector = filled(dataclasses.replace(Architecture.of("tiny", MICRO), token_mask=True))
    with torch.no_grad():
        mask = torch.from_numpy(golden["token_mask"])
        features, states = detector.backbone_features(histograms[0], mask=mask)
        require_near(detector.predict(features), golden["t0_pred"])
    for number, (h, _) in enumerate(states, start=1):
        np.testing.assert_allclose(h.numpy(), golden[f"t0_h{number}"], atol=STATE, rtol=0)


@pytest.mark.parametrize(
    "name",
    [
        "model_gen1_rvt-t",
        pytest.param("model_gen1_rvt-s", marks=pytest.mark.slow),
        pytest.param("model_gen1_rvt-b", marks=pytest.mark.slow),
        pytest.param("model_gen4_rvt-t", marks=pytest.mark.slow),
    ],
)
def test_whole_frames_give_the_reference_s_boxes_and_states(goldens, fill, filled, name) -> None:
    golden = np.load(goldens / "events" / f"{name}.npz")
    histograms, _ = input_of(fill, goldens, name)
    sensor = SENSORS[name.split("_")[1]]
    detector = filled(Architecture.of(SIZES[name[-1]], sensor))
    states = None
    for step, now in enumerate(histograms):
        with torch.no_grad():
            predictions, states = detector(now, states)
        require_near(predictions, golden[f"t{step}_pred"])
        for number, (h, c) in enumerate(states, start=1):
            sizes = [max(side // 8, 1) for side in h.shape[1:]]
            some = h[:, :: sizes[0], :: sizes[1], :: sizes[2]].numpy()
            np.testing.assert_allclose(some, golden[f"t{step}_h{number}_sub"], atol=STATE, rtol=0)
            stats = [s for x in (h, c) for s in (x.mean(), x.std(), x.abs().max())]
            np.testing.assert_allclose(
                torch.stack(stats), golden[f"t{step}_h{number}_stats"], atol=STATE, rtol=1e-5
            )
    if f"t{len(histograms) - 1}_h4" in golden.files:
        last = golden[f"t{len(histograms) - 1}_h4"]
        np.testing.assert_allclose(states[3][0].numpy(), last, atol=STATE, rtol=0)


# What holds for any weights


@pytest.fixture(scope="module")
def nano(filled) -> Detector:
    return filled(Architecture.of("nano", MICRO))


def counts(*shape: int, seed: int = 0, share: float = 0.1) -> torch.Tensor:
    make = torch.Generator().manual_seed(seed)
    hit = torch.rand(shape, generator=make) < share
    return torch.where(hit, torch.randint(1, 11, shape, generator=make), 0).to(torch.uint8)


@torch.no_grad()
def test_a_sequence_at_once_gives_what_it_gives_step_by_step(nano: Detector) -> None:
    histograms = counts(4, 2, 20, 48, 64)
    states, steps = None, []
    for now in histograms:
        features, states = nano.backbone_features(now, states)
        steps.append(features)
    at_once, after = nano.sequence_features(histograms)
    for number, found in at_once.items():
        each = torch.stack([features[number] for features in steps])
        torch.testing.assert_close(found, each, rtol=0, atol=2e-6)
    for (h, c), (h_steps, c_steps) in zip(after, states, strict=True):
        torch.testing.assert_close(h, h_steps, rtol=0, atol=2e-6)
        torch.testing.assert_close(c, c_steps, rtol=0, atol=4e-6)


@torch.no_grad()
def test_counts_and_the_same_numbers_as_floats_give_the_same(nano: Detector) -> None:
    histograms = counts(1, 20, 48, 64)
    of_counts, _ = nano(histograms)
    of_floats, _ = nano(histograms.float())
    torch.testing.assert_close(of_counts, of_floats, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_frame_s_boxes_do_not_depend_on_its_neighbours_in_the_batch(nano: Detector) -> None:
    histograms = counts(3, 20, 48, 64)
    together, _ = nano(histograms)
    alone, _ = nano(histograms[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_frames_of_other_sizes_follow_each_other(nano: Detector) -> None:
    small, large = counts(1, 20, 48, 64), counts(1, 20, 100, 130)
    before, _ = nano(small)
    other, _ = nano(large)
    again, _ = nano(small)
    assert other.shape[1] == (128 * 192 // 64) * 21 // 16, "three levels of 128 x 192"
    assert torch.equal(before, again), "no grid of the size before is left"


@torch.no_grad()
def test_nothing_is_added_by_zeros_at_the_bottom_and_the_right(nano: Detector) -> None:
    frame = counts(1, 20, 48, 64)
    padded = torch.nn.functional.pad(frame, (0, 0, 0, 16))
    torch.testing.assert_close(nano(frame)[0], nano(padded)[0], rtol=0, atol=0)


@torch.no_grad()
def test_reset_zeroes_the_states_of_those_that_begin_and_no_others(nano: Detector) -> None:
    _, states = nano(counts(3, 20, 48, 64))
    after = reset(states, torch.tensor([False, True, False]))
    for before, now in zip(states, after, strict=True):
        for kept, found in zip(before, now, strict=True):
            assert not found[1].any()
            assert torch.equal(found[[0, 2]], kept[[0, 2]])
            assert kept[1].any(), "the states given are as they were"


def test_gradients_reach_the_first_frame_through_the_states(filled) -> None:
    detector = filled(Architecture.of("nano", MICRO)).train()
    states = [
        tuple(each.detach().requires_grad_() for each in pair)
        for pair in detector.backbone_features(counts(2, 20, 48, 64))[1]
    ]
    features, after = detector.sequence_features(counts(3, 2, 20, 48, 64), states)
    features[4][-1].sum().backward()
    for h, c in states:
        assert h.grad is not None
        assert h.grad.abs().sum() > 0
        assert c.grad.abs().sum() > 0
    for h, c in detach(after):
        assert not h.requires_grad
        assert not c.requires_grad


def test_labelled_frames_are_picked_by_step_and_lane() -> None:
    features = {2: torch.arange(24.0).reshape(2, 3, 4, 1, 1)}
    found = at_frames(features, torch.tensor([1, 0]), torch.tensor([2, 1]))
    assert torch.equal(found[2], torch.stack([features[2][1, 2], features[2][0, 1]]))


def test_a_new_detector_believes_in_few_objects() -> None:
    detector = Detector(Architecture.of("nano", MICRO)).eval()
    with torch.no_grad():
        predictions, _ = detector(counts(1, 20, 48, 64))
    assert predictions[..., 4:].mean() == pytest.approx(0.01, rel=0.2)


def test_an_unknown_size_and_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no detector size 'huge'\. Known: nano, tiny"):
        Architecture.of("huge", MICRO)
    with pytest.raises(ConfigError, match="embed 16 is not a multiple of head_dim 5"):
        dataclasses.replace(Architecture.of("nano", MICRO), head_dim=5)


def test_an_architecture_is_read_back_from_plain_values() -> None:
    architecture = Architecture.of("small", GEN4)
    values = json.loads(json.dumps(architecture.to_dict()))
    assert Architecture.from_dict(values) == architecture
