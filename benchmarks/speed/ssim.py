"""Forward and backward of SSIM on one core: ours beside plain conv2d and autograd.

    OMP_NUM_THREADS=1 python benchmarks/speed/ssim.py

Times are CPU times of the thread, median and least of 60 after 8 to warm up. The second pair keeps
freed memory in the process: fresh pages cost a CPU more than the arithmetic that fills them.
"""

import ctypes
import platform
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fovea.metrics.image import C1, C2, _window, ssim

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def plain(image: Tensor, target: Tensor) -> Tensor:
    """The usual way: five full 11 x 11 convolutions, differentiated by autograd."""
    line = _window(image.dtype, image.device)
    window = torch.outer(line, line).expand(3, 1, 11, 11).contiguous()
    x, y = image.permute(2, 0, 1)[None], target.permute(2, 0, 1)[None]

    def blur(maps: Tensor) -> Tensor:
        return F.conv2d(maps, window, padding=5, groups=3)

    a, b = blur(x), blur(y)
    spread = blur(x * x) - a * a + blur(y * y) - b * b
    together = blur(x * y) - a * b
    fraction = (2 * a * b + C1) * (2 * together + C2)
    return (fraction / ((a * a + b * b + C1) * (spread + C2))).mean()


def times_ms(similarity: Callable[[Tensor, Tensor], Tensor]) -> list[float]:
    image, target = torch.rand(2, 200, 200, 3).unbind(0)
    image = image.clone().requires_grad_()
    found = []
    for _ in range(68):
        started = time.thread_time()
        similarity(image, target).backward()
        found.append(1000 * (time.thread_time() - started))
        image.grad = None
    return found[8:]


def main() -> None:
    torch.set_num_threads(1)
    print(f"200 x 200 x 3 float32, torch {torch.__version__}, {platform.processor() or 'CPU'}")
    for allocator in ("as it comes", "keeping memory"):
        if allocator == "keeping memory":
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
            libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
        for name, similarity in (("ours", ssim), ("plain conv2d", plain)):
            found = times_ms(similarity)
            print(f"{allocator:15} {name:13} {statistics.median(found):6.2f} ms, {min(found):.2f}")


if __name__ == "__main__":
    main()
