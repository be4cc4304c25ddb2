"""Health and facts of the device beside MLSharp-3D-Maker: requests a second and p95, 32 clients.

    python benchmarks/service/beside_mlsharp.py FOLDER_OF_MLSHARP [--seconds 6] [--rounds 3]

The folder is a checkout of its public repository. It is started with its own settings but for three
things: its network is left out (nobody asks for a prediction here), and two limits of its server
are lifted, without which it refuses the eleventh connection and ends after 1000 requests; what it
does with them is measured once as well. Both run with the same Python, uvicorn and event loop, one
after the other, in turns. Nothing of it is copied.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import psutil
import uvloop

CLIENTS = 32
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
RESULTS = Path(__file__).parents[1] / "results" / "beside-mlsharp-amd-epyc-2-cores.json"
STUB = """
import sys
import app
import uvicorn

limits = {{"limit_concurrency": None, "limit_max_requests": None}} if {lifted} else {{}}
serve = uvicorn.run
uvicorn.run = lambda *words, **named: serve(*words, **(named | limits))
app.ModelManager.load_model = lambda self: None
app.Logger()
app.MLSharpApp().run()
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """One of the two, at work."""

    def __init__(self, command: list[str], folder: Path, path: str, port: int) -> None:
        self.port = port
        self.log = (folder / "server.log").open("ab")
        plain = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=self.log, stderr=self.log, env=os.environ | plain
        )
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
            except (OSError, urllib.error.URLError):
                time.sleep(0.3)
            else:
                return
        self.stop()
        raise SystemExit(f"it does not start: {(folder / 'server.log').read_text()[-2000:]}")

    def cpu_s(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


class Client(asyncio.Protocol):
    """One client: asks again as soon as it has its answer. It must cost less than the servers."""

    def __init__(self, request: bytes, until: float, found: list[tuple[int, float]]) -> None:
        self.request, self.until, self.found = request, until, found
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its type
        self.ask()

    def ask(self) -> None:
        self.came, self.began = b"", time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.came += data
        head, end, body = self.came.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return
        now = time.perf_counter()
        self.found.append((int(head[9:12]), now - self.began))
        if now >= self.until or head[9:12] == b"503":
            self.transport.close()
        else:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def client(port: int, request: bytes, until: float, found: list[tuple[int, float]]) -> None:
    """One client, which connects again where it was sent away."""
    loop = asyncio.get_running_loop()
    while time.perf_counter() < until:
        try:
            _, one = await loop.create_connection(
                lambda: Client(request, until, found), "127.0.0.1", port
            )
            await asyncio.wait_for(one.over, 30)
        except OSError:
            found.append((0, 0.0))
            await asyncio.sleep(0.01)


async def clients(port: int, path: str, seconds: float) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(port, request, until, found) for _ in range(CLIENTS)))
    return found


def measure(server: Server, path: str, seconds: float) -> dict[str, float]:
    uvloop.run(clients(server.port, path, 0.5))
    cpu, began = server.cpu_s(), time.perf_counter()
    found = uvloop.run(clients(server.port, path, seconds))
    taken, cpu = time.perf_counter() - began, server.cpu_s() - cpu
    good = sorted(second for status, second in found if status == 200)
    return {
        "requests_per_s": len(good) / taken,
        "p95_ms": 1000 * good[int(0.95 * len(good))] if good else float("nan"),
        "refused": sum(status != 200 for status, _ in found),
        "cpu_ms_per_request": 1000 * cpu / max(1, len(good)),
    }


def in_turns(
    servers: tuple[Server, Server], asked: argparse.Namespace
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """What both do, one round after the other."""
    paths = {"health": ("/v1/health", "/api/health"), "stats": ("/v1/stats", "/api/stats")}
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        name: {"fovea": [], "mlsharp": []} for name in paths
    }
    for _ in range(asked.rounds):
        for name, addresses in paths.items():
            for who, server, path in zip(("fovea", "mlsharp"), servers, addresses, strict=True):
                found[name][who].append(measure(server, path, asked.seconds))
    return found


def ours(folder: Path) -> Server:
    port = free_port()
    words = ["serve", "--port", str(port), "--no-browser", "--no-preload", "-m", "cpu"]
    return Server([sys.executable, "-m", "fovea", *words], folder, "/v1/health", port)


def theirs(source: Path, folder: Path, *, lifted: bool) -> Server:
    port = free_port()
    stub = folder / "stub.py"
    stub.write_text(STUB.format(lifted=lifted))
    words = ["--port", str(port), "--no-browser", "--mode", "cpu"]
    command = [sys.executable, str(stub), *words]
    os.environ["PYTHONPATH"] = str(source)
    return Server(command, folder, "/api/health", port)


def median(rounds: list[dict[str, float]]) -> dict[str, float]:
    names = rounds[0]
    return {name: round(statistics.median(one[name] for one in rounds), 3) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with (
        ExitStack() as running,
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as other,
    ):
        servers = ours(Path(one)), theirs(asked.source.absolute(), Path(other), lifted=True)
        for server in servers:
            running.callback(server.stop)
        found = in_turns(servers, asked)
        running.close()
        published = theirs(asked.source.absolute(), Path(other), lifted=False)
        running.callback(published.stop)
        as_published = measure(published, "/api/health", asked.seconds)
        has_ended = published.process.poll() is not None
    table = {
        name: {who: median(rounds) for who, rounds in both.items()} for name, both in found.items()
    }
    for both in table.values():
        mine, other_one = both["fovea"], both["mlsharp"]
        both["ratio"] = {
            "requests_per_s": round(mine["requests_per_s"] / other_one["requests_per_s"], 2),
            "p95": round(other_one["p95_ms"] / mine["p95_ms"], 2),
            "cpu": round(other_one["cpu_ms_per_request"] / mine["cpu_ms_per_request"], 2),
        }
    result = {
        "what": f"{CLIENTS} clients, keep-alive, {asked.rounds} rounds of {asked.seconds:g} s",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python"
        f" {platform.python_version()}, uvloop {uvloop.__version__}",
        "load_average": [round(one, 1) for one in os.getloadavg()],
        **table,
        "mlsharp_as_published": {
            "refused": as_published["refused"],
            "ended_by_itself": has_ended,
        },
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
