import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovea.errors import DataError
from fovea.events.settings.simulate import PixelConfig
from fovea.events.simulate.pixel import PixelArray, brightness, events_of
from fovea.events.stream import EventStream

IDEAL = PixelConfig(
    threshold_on=0.2, threshold_off=0.2, threshold_sigma=0, refractory_us=0, leak_hz=0,
    shot_noise_hz=0, cutoff_hz=0,
)  # fmt: skip


def camera(config: PixelConfig = IDEAL, shape: tuple[int, int] = (1, 1), seed: int = 0, **rest):
    rng = np.random.default_rng(seed)
    rest = {"is_settled": True} | rest
    return PixelArray(config, height=shape[0], width=shape[1], rng=rng, **rest)


def light(log_light: float, shape: tuple[int, int] = (1, 1)) -> np.ndarray:
    return np.full(shape, math.exp(log_light), np.float32)


def seen(pixels: PixelArray, moments) -> EventStream:
    return EventStream.joined([pixels.see(time, light) for time, light in moments])


def test_a_pixel_that_sees_brightness_rise_fires_once_each_threshold_and_on_time() -> None:
    events = seen(camera(), [(0, light(-2.0)), (1_000_000, light(-2.0 + 1.05))])
    expected = [k * 0.2 / 1.05 * 1e6 for k in range(1, 6)]
    assert len(events) == 5
    assert np.abs(events.t - expected).max() <= 2  # float32 brightness, and whole microseconds
    assert (events.p == 1).all()


@pytest.mark.parametrize(("off", "count"), [(0.2, 5), (0.3, 3), (0.5, 2)])
def test_brightness_that_falls_makes_events_of_its_own_threshold(off: float, count: int) -> None:
    config = IDEAL.model_copy(update={"threshold_off": off})
    events = seen(camera(config), [(0, light(-1.0)), (500_000, light(-1.0 - 1.05))])
    assert events.p.tolist() == [0] * count


def test_how_often_light_is_given_makes_no_difference_to_a_straight_line() -> None:
    ramp = [(t, light(-3.0 + 2.5e-6 * t)) for t in range(0, 1_000_001, 12_500)]
    often, rarely = seen(camera(), ramp), seen(camera(), ramp[:: len(ramp) - 1])
    assert len(often) == len(rarely) == 12
    assert np.abs(often.t - rarely.t).max() <= 4


def test_after_an_event_a_pixel_is_blind_and_then_remembers_what_it_sees() -> None:
    config = IDEAL.model_copy(update={"refractory_us": 30_000})
    events = seen(camera(config), [(0, light(-2.0)), (1_000_000, light(0.0))])
    # Two units of brightness a second: a threshold takes 100 ms, then come 30 ms without sight.
    expected = [100_000 + k * 130_000 for k in range(7)]
    assert np.abs(events.t - expected).max() <= 2


def test_blindness_goes_on_into_the_next_step() -> None:
    config = IDEAL.model_copy(update={"refractory_us": 30_000})
    ramp = [(t, light(-2.0 + 2e-6 * t)) for t in range(0, 1_000_001, 10_000)]
    events = seen(camera(config), ramp)
    assert np.abs(events.t - [100_000 + k * 130_000 for k in range(7)]).max() <= 10


def test_no_pixel_speaks_twice_within_the_refractory_time() -> None:
    config = PixelConfig(refractory_us=2000, shot_noise_hz=200, leak_hz=5, cutoff_hz=0)
    rng = np.random.default_rng(0)
    moments = [(k * 4000, rng.random((6, 8), np.float32)) for k in range(100)]
    events = seen(camera(config, (6, 8)), moments)
    gaps = [
        np.diff(events.t[(events.x == x) & (events.y == y)]) for x in range(8) for y in range(6)
    ]
    assert min(gap.min() for gap in gaps) >= 2000
    assert len(events) > 2000


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.08, 0.6))
def test_thresholds_added_up_follow_brightness_within_one_threshold(seed: int, on: float) -> None:
    config = IDEAL.model_copy(update={"threshold_on": on, "threshold_sigma": 0.02})
    rng = np.random.default_rng(seed)
    moments = [(k * 7001, rng.uniform(0.001, 1, (5, 6)).astype(np.float32)) for k in range(12)]
    pixels = camera(config, (5, 6), seed)
    start = brightness(moments[0][1], config.knee)
    told = np.zeros((5, 6))
    for time, given_light in moments:
        events = pixels.see(time, given_light)
        at = (events.y, events.x)
        np.add.at(told, at, np.where(events.p, pixels.threshold_on[at], -pixels.threshold_off[at]))
        left = brightness(given_light, config.knee) - start - told
        assert (left < pixels.threshold_on + 1e-4).all()
        assert (left > -pixels.threshold_off - 1e-4).all()


def test_an_edge_that_passes_makes_as_many_events_as_its_contrast_has_thresholds() -> None:
    width, speed_px_s, contrast = 40, 50.0, 1.1
    columns = np.arange(width) + 0.5

    def moment(time_us: int) -> tuple[int, np.ndarray]:
        edge = speed_px_s * time_us * 1e-6
        covered = np.clip(edge - columns + 0.5, 0, 1)
        return time_us, np.repeat(np.exp(-2 + contrast * covered)[None], 3, 0).astype(np.float32)

    events = seen(camera(shape=(3, width)), [moment(t) for t in range(0, 1_000_001, 2000)])
    assert len(events) == 3 * width * int(contrast / 0.2)
    assert (events.p == 1).all()
    # A column speaks while the edge is over it: 20 ms from its left side on.
    since = events.t - events.x / speed_px_s * 1e6
    assert since.min() >= 0
    assert since.max() <= 20_000


def test_leakage_says_brighter_at_its_rate_and_nothing_else() -> None:
    config = IDEAL.model_copy(update={"leak_hz": 2.0, "threshold_sigma": 0.02})
    still = [(t, light(-1.0, (40, 50))) for t in (0, 500_000, 3_000_000)]
    events = seen(camera(config, (40, 50), is_settled=False), still)
    # Pixels start up to two thresholds away from their first event: a second of leakage.
    settled = events.between(1_000_000, 3_000_000)
    rate = len(settled) / (40 * 50 * 2.0)
    assert (events.p == 1).all()
    assert rate == pytest.approx(2.0, rel=0.03)  # spread of the leak: a tenth over 2000 pixels


@pytest.mark.parametrize(("level", "part"), [(0.0, 1.0), (1.0, 0.25)])
def test_shot_noise_is_a_poisson_process_that_is_rarer_in_light(level: float, part: float) -> None:
    config = IDEAL.model_copy(update={"shot_noise_hz": 8.0})
    still = np.full((40, 50), level, np.float32)
    events = seen(camera(config, (40, 50)), [(t * 250_000, still) for t in range(21)])
    expected = 8.0 * part * 5 * 2000
    assert len(events) == pytest.approx(expected, abs=5 * math.sqrt(expected))
    assert events.p.mean() == pytest.approx(0.5, abs=3 / math.sqrt(len(events)))
    counts = np.bincount(events.y.astype(int) * 50 + events.x, minlength=2000)
    assert counts.var() == pytest.approx(counts.mean(), rel=0.15)
    gaps = np.diff(events.t)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_noise_goes_on_while_a_pixel_speaks_of_other_things() -> None:
    config = IDEAL.model_copy(update={"shot_noise_hz": 20.0, "leak_hz": 60.0})
    dark = np.zeros((40, 50), np.float32)
    events = seen(camera(config, (40, 50)), [(t * 250_000, dark) for t in range(9)])
    darker = int((events.p == 0).sum())  # leakage never says so: half of the noise
    expected = 20.0 / 2 * 2 * 2000
    assert darker == pytest.approx(expected, abs=5 * math.sqrt(expected))


def test_thresholds_differ_from_pixel_to_pixel_as_asked_and_as_the_events_tell() -> None:
    config = IDEAL.model_copy(update={"threshold_sigma": 0.03})
    shape = (50, 60)
    ramp = [(0, light(-3.0, shape)), (1_000_000, light(-2.0, shape))]
    events = seen(camera(config, shape), ramp)
    first = np.full(shape, np.inf)
    np.minimum.at(first, (events.y, events.x), events.t * 1e-6)  # of a rise of one a second
    assert first.mean() == pytest.approx(0.2, abs=4 * 0.03 / math.sqrt(3000))
    assert first.std() == pytest.approx(0.03, rel=0.06)


def test_a_pixel_follows_a_step_of_light_as_a_low_pass_does() -> None:
    config = IDEAL.model_copy(update={"cutoff_hz": 10.0, "threshold_on": 0.05})
    step = [(0, light(-2.0)), *((1 + 100 * k, light(0.0)) for k in range(2000))]
    events = seen(camera(config), step)
    # After n events the pixel stands n thresholds higher: 1 - exp(-2 pi f t) of the step.
    expected = -np.log(1 - 0.05 * np.arange(1, 40) / 2.0) / (2 * math.pi * 10) * 1e6
    assert np.abs(events.t[:39] - expected).max() < 150


def test_the_dark_is_followed_in_a_straight_line_and_is_finite() -> None:
    values = brightness(np.array([[0, 0.01, 0.02, 0.2]], np.float32), 0.02)[0]
    assert np.allclose(
        values, [math.log(0.02) - 1, math.log(0.02) - 0.5, math.log(0.02), math.log(0.2)]
    )


@pytest.mark.parametrize("room", [1, 3, 50])
def test_events_beyond_the_room_for_them_are_not_lost(room: int) -> None:
    config = PixelConfig(shot_noise_hz=30)
    rng = np.random.default_rng(5)
    moments = [(k * 20_000, rng.random((4, 5), np.float32)) for k in range(6)]
    wide, narrow = camera(config, (4, 5)), camera(config, (4, 5))
    narrow._columns = tuple(column[:room] for column in narrow._columns)
    expected, found = seen(wide, moments), seen(narrow, moments)
    for name in ("t", "x", "y", "p"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def test_a_seed_gives_the_same_events_and_another_others() -> None:
    rng = np.random.default_rng(1)
    moments = [(k * 5000, rng.random((8, 9), np.float32)) for k in range(10)]
    first, again, other = (
        seen(camera(PixelConfig(), (8, 9), seed, is_settled=False), moments) for seed in (1, 1, 2)
    )
    assert first.t.tobytes() + first.x.tobytes() == again.t.tobytes() + again.x.tobytes()
    assert first.t.tobytes() != other.t.tobytes()


def test_events_come_in_order_and_in_pieces_while_light_is_still_being_made() -> None:
    rng = np.random.default_rng(1)
    made = 0

    def moments():
        nonlocal made
        for k in range(100):
            made += 1
            yield k * 10_000, rng.random((8, 9), np.float32)

    pieces = events_of(camera(PixelConfig(), (8, 9)), moments(), chunk_us=50_000)
    first = next(pieces)
    assert made < 10
    events = EventStream.joined([first, *pieces])
    assert (np.diff(events.t) >= 0).all()
    assert events.t[-1] <= 990_000


def test_steps_longer_than_sixteen_bits_of_microseconds_stay_in_order() -> None:
    rng = np.random.default_rng(1)
    events = seen(
        camera(shape=(8, 9)), [(k * 200_000, rng.random((8, 9), np.float32)) for k in range(5)]
    )
    assert (np.diff(events.t) >= 0).all()
    assert events.t[-1] > 700_000


def test_light_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(DataError, match="2 x 3 pixels, and light at 0 µs is given for 3 x 2"):
        camera(shape=(2, 3)).see(0, np.zeros((3, 2), np.float32))


def test_time_that_stands_still_is_refused() -> None:
    pixels = camera()
    pixels.see(10, light(0.0))
    with pytest.raises(DataError, match="10 µs is given after 10 µs"):
        pixels.see(10, light(0.0))
