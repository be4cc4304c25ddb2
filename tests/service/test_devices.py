"""Modes, vendors, and what a card can do."""

import pytest

from fovea.service.photo.devices import Allowed, Card, Chosen, choose, vendor_of
from fovea.service.photo.tuning import WAYS, ways_for

RTX = Card("NVIDIA GeForce RTX 3060", "NVIDIA", 86, 12_288)
PASCAL = Card("NVIDIA GeForce GTX 1050", "NVIDIA", 61, 2048)
KEPLER = Card("NVIDIA GeForce GTX 780", "NVIDIA", 35, 6144)
RADEON = Card("AMD Radeon RX 7800", "AMD", 0, 16_384)
ARC = Card("Intel Arc A770", "Intel")
CUDA, ROCM, CPU = "2.13.0+cu130", "2.13.0+rocm7.2", "2.13.0+cpu"


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("NVIDIA GeForce RTX 3060", "NVIDIA"),
        ("Tesla T4", "NVIDIA"),
        ("Quadro P2000", "NVIDIA"),
        ("gtx1080", "NVIDIA"),
        ("AMD Radeon RX 580", "AMD"),
        ("Intel(R) Iris(R) Xe Graphics", "Intel"),
        ("Intel UHD Graphics 630", "Intel"),
        ("Qualcomm(R) Adreno(TM) X1-85 GPU", "Qualcomm"),
        ("Snapdragon 8", "Qualcomm"),
        ("Matrox G200", ""),
        ("Overclocked Search Engine", ""),
    ],
)
def test_the_vendor_is_known_by_the_name(name: str, vendor: str) -> None:
    assert vendor_of(name) == vendor


def test_auto_takes_a_gpu_that_torch_can_use_and_else_the_processor() -> None:
    assert choose("auto", cards=[RTX], torch=CUDA).device == "cuda"
    assert choose("auto", cards=[RADEON], torch=ROCM).vendor == "AMD"
    for cards, torch in (([RTX], CPU), ([RADEON], CUDA), ([ARC], CUDA), ([], CUDA)):
        found = choose("auto", cards=cards, torch=torch)
        assert (found.device, found.is_gpu) == ("cpu", False)
        assert "It goes on with the processor." in found.notes[0]


def test_what_is_missing_is_said_for_each_vendor() -> None:
    said = {
        card.vendor: choose("gpu", cards=[card], torch=CPU).notes[0]
        for card in (RTX, RADEON, ARC, Card("Adreno X1", "Qualcomm"))
    }
    assert "build of torch with CUDA" in said["NVIDIA"]
    assert "ROCm build of torch" in said["AMD"]
    assert "Intel" in said["Intel"]
    assert "photo.export" in said["Qualcomm"]
    assert "no graphics card" in choose("nvidia", cards=[], torch=CUDA).notes[0]


def test_a_label_that_does_not_fit_the_card_is_a_warning() -> None:
    found = choose("amd", cards=[RTX], torch=CUDA)
    assert (found.vendor, found.device) == ("AMD", "cuda")
    assert "the card is NVIDIA GeForce RTX 3060 of NVIDIA" in found.notes[0]
    assert (found.amp, found.cudnn_benchmark, found.tf32) == (False, False, False)


def test_options_follow_the_capability() -> None:
    def options(card: Card, **allowed: bool) -> tuple[bool, bool, bool]:
        found = choose("auto", allowed=Allowed(**allowed), cards=[card], torch=CUDA)
        return found.amp, found.cudnn_benchmark, found.tf32

    assert options(RTX) == (True, True, True)
    assert options(PASCAL) == (True, True, False)
    assert options(KEPLER) == (False, False, False)
    assert options(RTX, amp=False, tf32=False) == (False, True, False)
    assert any("2048 MB" in note for note in choose("auto", cards=[PASCAL], torch=CUDA).notes)


def test_cpu_is_never_a_gpu_and_a_device_goes_before_the_mode() -> None:
    assert choose("cpu", cards=[RTX], torch=CUDA) == choose(
        "auto", wanted="cpu", cards=[RTX], torch=CUDA
    )
    assert choose("auto", wanted="cuda:1", cards=[RTX, RTX], torch=CUDA).device == "cuda:1"
    assert choose("gpu", cards=[RTX], torch=CUDA).notes[0].startswith("mode gpu")
    assert choose("qualcomm", cards=[RTX], torch=CUDA).device == "cpu"


def test_jobs_find_the_switches_in_their_environment() -> None:
    found = choose("auto", allowed=Allowed(tf32=False), cards=[RTX], torch=CUDA)
    assert found.environment == {"FOVEA_CUDNN_BENCHMARK": "1", "FOVEA_TF32": "0"}
    assert choose("cpu", cards=[RTX], torch=CUDA).environment.get("FOVEA_TF32") in (None, "0")
    import torch

    from fovea.training.device import use_switches

    before = torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32
    try:
        use_switches({"FOVEA_CUDNN_BENCHMARK": "1", "FOVEA_TF32": "1"})
        assert (torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32) == (
            True,
            True,
        )
        use_switches({"FOVEA_CUDNN_BENCHMARK": "0"})
        assert (torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32) == (
            False,
            True,
        )
    finally:
        torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32 = before
        torch.backends.cudnn.allow_tf32 = True


@pytest.mark.parametrize(
    ("capability", "names"),
    [
        (86, [way.name for way in WAYS]),
        (61, ["none", "AMP", "cuDNN", "AMP+cuDNN"]),
        (53, ["none", "AMP"]),
        (35, ["none"]),
    ],
)
def test_auto_tune_tries_what_the_card_can(capability: int, names: list[str]) -> None:
    card = Chosen("cuda", "NVIDIA", "a card", is_gpu=True, capability=capability)
    assert [way.name for way in ways_for(card)] == names


def test_others_are_tried_without_what_is_nvidias() -> None:
    for chosen in (Chosen("cpu", "Intel", "a processor", is_gpu=False),):
        assert [way.name for way in ways_for(chosen)] == ["none", "AMP"]
    amd = Chosen("cuda", "AMD", "a card", is_gpu=True)
    assert [way.name for way in ways_for(amd)] == ["none"]
