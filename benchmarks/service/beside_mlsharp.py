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
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

CLIENTS = 32
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
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
            except (OSError, urllib.error.URLError):
                time.sleep(0.3)
            else:
                return
        raise SystemExit(f"it does not start: {(folder / 'server.log').read_text()[-2000:]}")

    def cpu_s(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


async def client(port: int, path: str, until: float, found: list[tuple[int, float]]) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    reader = writer = None
    while time.perf_counter() < until:
        began = time.perf_counter()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            answer = await reader.readuntil(b"\r\n\r\n")
            lower = answer.lower()
            at = lower.index(b"content-length:") + 15
            await reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))
            status = int(answer[9:12])
            if status == 503 or b"connection: close" in lower:
                writer.close()
                writer = None
        except (OSError, asyncio.IncompleteReadError, ValueError):
            status, writer = 0, None
            await asyncio.sleep(0.01)
        found.append((status, time.perf_counter() - began))
    if writer is not None:
        writer.close()


async def clients(port: int, path: str, seconds: float) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(port, path, until, found) for _ in range(CLIENTS)))
    return found


def measure(server: Server, path: str, seconds: float) -> dict[str, float]:
    asyncio.run(clients(server.port, path, 0.5))
    cpu, began = server.cpu_s(), time.perf_counter()
    found = asyncio.run(clients(server.port, path, seconds))
    taken, cpu = time.perf_counter() - began, server.cpu_s() - cpu
    good = sorted(second for status, second in found if status == 200)
    return {
        "requests_per_s": len(good) / taken,
        "p95_ms": 1000 * good[int(0.95 * len(good))] if good else float("nan"),
        "refused": sum(status != 200 for status, _ in found),
        "cpu_ms_per_request": 1000 * cpu / max(1, len(good)),
    }


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
    paths = {"health": ("/v1/health", "/api/health"), "stats": ("/v1/stats", "/api/stats")}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        servers = ours(Path(one)), theirs(asked.source.absolute(), Path(other), lifted=True)
        found: dict[str, dict[str, list[dict[str, float]]]] = {
            name: {"fovea": [], "mlsharp": []} for name in paths
        }
        for _ in range(asked.rounds):
            for name, addresses in paths.items():
                for who, server, path in zip(("fovea", "mlsharp"), servers, addresses, strict=True):
                    found[name][who].append(measure(server, path, asked.seconds))
        for server in servers:
            server.stop()
        published = theirs(asked.source.absolute(), Path(other), lifted=False)
        as_published = measure(published, "/api/health", asked.seconds)
        has_ended = published.process.poll() is not None
        published.stop()
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
        f" {platform.python_version()}",
        "load_average": [round(one, 1) for one in os.getloadavg()],
        **table,
        "mlsharp_as_published": {
            **{name: round(value, 3) for name, value in as_published.items()},
            "ended_by_itself": has_ended,
        },
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
