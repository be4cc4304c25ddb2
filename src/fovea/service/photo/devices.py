"""What the service computes on: modes, whose card it is, what that card can do, and why.

torch is not imported for it: cards are read from `nvidia-smi` and from the system, what torch can
use from the version it is installed in. Whatever was asked for, without a usable GPU the work goes
to the processor, and a sentence says why and what to do about it.
"""

from __future__ import annotations

import functools
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fovea.runs import device as machine
from fovea.service.settings import Mode

LITTLE_MB = 4096
AMP_FROM, CUDNN_FROM, TF32_FROM = 53, 60, 80
"""Compute capabilities, 10 * major + minor."""
_WORDS = {
    "NVIDIA": ("nvidia", "geforce", "quadro", "tesla", "rtx", "gtx"),
    "AMD": ("amd", "radeon", "rx"),
    "Qualcomm": ("qualcomm", "adreno", "snapdragon"),
    "Intel": ("intel", "iris", "uhd", "arc"),
    "Apple": ("apple",),
}
_PCI = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel", "0x17cb": "Qualcomm"}
_INTEGRATED = ("Intel", "Qualcomm", "")
_LABELS: dict[Mode, str] = {
    "nvidia": "NVIDIA",
    "amd": "AMD",
    "intel": "Intel",
    "qualcomm": "Qualcomm",
}
_WHY: dict[str, str] = {
    "NVIDIA": "an NVIDIA card is there, and torch {torch} cannot use it. Install its driver and a"
    " build of torch with CUDA.",
    "AMD": "an AMD card is there, and torch {torch} cannot use it. Install the ROCm build of torch;"
    " it is for Linux.",
    "Intel": "graphics of Intel are not computed on. The processor does the work.",
    "Qualcomm": "Snapdragon's Adreno is not computed on. The processor does the work, and a folder"
    " of photo.export makes it faster (model.checkpoint).",
    "Apple": "torch {torch} has no Metal here.",
    "": "there is no graphics card that could be computed on.",
}


@dataclass(frozen=True)
class Card:
    """A graphics card."""

    name: str
    vendor: str
    capability: int = 0
    """Of NVIDIA's: 10 * major + minor."""
    total_mb: int = 0


@dataclass(frozen=True)
class Chosen:
    """What the work is done on, and how."""

    device: str
    """As a run names it: `cpu`, `cuda`, `cuda:1`, `mps`."""
    vendor: str
    name: str
    is_gpu: bool
    count: int = 0
    memory_mb: int = 0
    capability: int = 0
    amp: bool = False
    cudnn_benchmark: bool = False
    tf32: bool = False
    notes: tuple[str, ...] = ()
    """What was asked for and could not be had, and what to know of what is there."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which jobs find these choices."""
        if self.vendor != "NVIDIA":
            return {}
        switches = {"FOVEA_CUDNN_BENCHMARK": self.cudnn_benchmark, "FOVEA_TF32": self.tf32}
        return {name: "1" if is_on else "0" for name, is_on in switches.items()}


def vendor_of(name: str) -> str:
    """Whose card has that name; empty where nobody knows."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    return next((vendor for vendor, known in _WORDS.items() if words & set(known)), "")


@dataclass(frozen=True)
class Allowed:
    """What may be used where the card can."""

    amp: bool = True
    cudnn_benchmark: bool = True
    tf32: bool = True


def choose(
    mode: Mode,
    *,
    wanted: str = "auto",
    allowed: Allowed | None = None,
    cards: Sequence[Card] | None = None,
    torch: str | None = None,
) -> Chosen:
    """What to compute on.

    Args:
        mode: what was asked for; `nvidia` and `amd` also say whose card it is.
        wanted: a device by name, before the mode.
        allowed: what may be used where the card can.
        cards: of this machine, the best first.
        torch: the version that is installed.
    """
    cards = found_cards() if cards is None else cards
    torch = machine.torch_build() if torch is None else torch
    if wanted != "auto":
        mode = "cpu" if wanted == "cpu" else "gpu"
    vendor = cards[0].vendor if cards else ""
    allowed = allowed or Allowed()
    usable = [card for card in cards if _can_use(card, torch)]
    if mode == "cpu":
        return _processor(vendor, allowed)
    if mode in ("intel", "qualcomm"):
        return _processor(vendor, allowed, f"mode {mode}: {_WHY[_LABELS[mode]]}")
    if not usable:
        why = _WHY[vendor].format(torch=torch or "(not installed)")
        asked = "" if mode == "auto" else f"mode {mode}: "
        return _processor(vendor, allowed, f"{asked}{why} It goes on with the processor.")
    kind = "mps" if usable[0].vendor == "Apple" else "cuda"
    device = wanted if wanted != "auto" else kind
    return _gpu(usable[0], mode, device, len(usable), allowed)


def _gpu(card: Card, mode: Mode, device: str, count: int, allowed: Allowed) -> Chosen:
    notes = ["mode gpu: the GPU is used because it was asked for."] if mode == "gpu" else []
    vendor = _LABELS.get(mode, card.vendor)
    if vendor != card.vendor:
        notes.append(f"mode {mode}, and the card is {card.name} of {card.vendor or 'nobody known'}")
    if 0 < card.total_mb < LITTLE_MB:
        notes.append(
            f"{card.name} has {card.total_mb} MB; below {LITTLE_MB} a photograph may not fit."
        )
    can = card.capability if vendor == "NVIDIA" else 0
    return Chosen(
        device=device,
        vendor=vendor,
        name=card.name,
        is_gpu=True,
        count=count,
        memory_mb=card.total_mb,
        capability=can,
        amp=allowed.amp and can >= AMP_FROM,
        cudnn_benchmark=allowed.cudnn_benchmark and can >= CUDNN_FROM,
        tf32=allowed.tf32 and can >= TF32_FROM,
        notes=tuple(notes),
    )


def _processor(vendor: str, allowed: Allowed, *notes: str) -> Chosen:
    name = f"{platform.processor() or platform.machine()}, {machine.cores()} cores"
    return Chosen("cpu", vendor or "Unknown", name, is_gpu=False, amp=allowed.amp, notes=notes)


@functools.cache
def found_cards() -> tuple[Card, ...]:
    """The graphics cards of this machine, those with memory of their own first."""
    found = [*_nvidia_cards()]
    vendors = {card.vendor for card in found}
    names = [*_windows_names(), *_apple_names()]
    found += [Card(name, vendor_of(name)) for name in names if vendor_of(name) not in vendors]
    found += [Card(f"{v} graphics", v) for v in _linux_vendors() if v not in vendors]
    return tuple(sorted(found, key=lambda card: card.vendor in _INTEGRATED))


def _can_use(card: Card, torch: str) -> bool:
    if not torch or "+cpu" in torch:
        return False
    if card.vendor == "Apple":
        return platform.system() == "Darwin"
    is_rocm = "+rocm" in torch
    return card.vendor == "AMD" if is_rocm else card.vendor == "NVIDIA"


def _nvidia_cards() -> list[Card]:
    if not machine.gpus():
        return []
    capabilities = _asked(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"])
    numbers = [
        int(line.replace(".", "")) for line in capabilities if line.replace(".", "").isdecimal()
    ]
    padded = [*numbers, *[0] * len(machine.gpus())]
    return [
        Card(gpu.name, "NVIDIA", capability, gpu.total_mb)
        for gpu, capability in zip(machine.gpus(), padded, strict=False)
    ]


def _linux_vendors() -> list[str]:
    codes = [
        path.read_text().strip() for path in Path("/sys/class/drm").glob("card*/device/vendor")
    ]
    return list(dict.fromkeys(_PCI[code] for code in codes if code in _PCI))


def _windows_names() -> list[str]:
    if platform.system() != "Windows":
        return []
    query = "(Get-CimInstance Win32_VideoController).Name"
    return _asked(["powershell", "-NoProfile", "-Command", query])


def _apple_names() -> list[str]:
    is_apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return ["Apple GPU"] if is_apple else []


def _asked(command: list[str]) -> list[str]:
    if shutil.which(command[0]) is None:
        return []
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return [line.strip() for line in told.stdout.splitlines() if line.strip()]
