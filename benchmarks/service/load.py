"""Load on a service of this machine: uploads and jobs by many clients, while status is asked for.

    python benchmarks/service/load.py                  one service, SQLite, killed in the middle
    python benchmarks/service/load.py --shared         PostgreSQL, Redis and two `fovea worker`, one
                                                       of them killed, and the service too
    python benchmarks/service/load.py --no-kill        nothing is killed

Each client takes the next number, sends a file of its own, asks for a job that reads it under an
Idempotency-Key, and asks again where no answer came. The jobs are processes like any stage's; their
stage counts two steps (tests/service/toys), so that what is measured is the service. Afterwards the
runs say how often the work was really done. The service keeps its priority, the rest stands back.
Status is asked for by a process of its own, whose clock no other client's threads hold up.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
TOYS = str(ROOT / "tests" / "service" / "toys")
STEPS = 2
ASK_EVERY_S = 0.05
PATIENCE_S = 3000.0


def child(words: list[str], log: Path, *, nice: int) -> subprocess.Popen[bytes]:
    """Start `fovea ...`, standing back by so much."""
    paths = filter(None, [TOYS, os.environ.get("PYTHONPATH")])
    with log.open("ab") as output:
        return subprocess.Popen(
            ["nice", "-n", str(nice), sys.executable, "-m", "fovea", *words],
            cwd=log.parent,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@dataclass
class Server:
    """`fovea serve`, on one port however often it is started."""

    folder: Path
    port: int
    options: list[str]
    restart_s: float = 0.0

    def start(self) -> None:
        words = ["serve", "--port", str(self.port), "--runs", "runs", "--device", "cpu"]
        words += ["--no-preload", "--no-browser", *self.options]
        began = time.monotonic()
        self.process = child(words, self.folder / "server.log", nice=0)
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.05)
        self.restart_s = time.monotonic() - began

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """What the service's own process took since it was started last."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """Whatever came before, leave nothing at work."""
        if self.process.poll() is None:
            self.kill()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


@dataclass
class Load:
    """What the clients did, and how long they waited for answers."""

    url: str
    jobs: int
    accepted: dict[int, str] = field(default_factory=dict[int, str])
    upload_s: list[float] = field(default_factory=list[float])
    submit_s: list[float] = field(default_factory=list[float])
    status_s: list[float] = field(default_factory=list[float])
    unanswered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    watcher: Watcher = field(init=False)

    def __post_init__(self) -> None:
        self.watcher = Watcher(self.url)

    def client(self, numbers: queue.SimpleQueue[int]) -> None:
        """One client: send and ask until there is no number left."""
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while True:
                try:
                    number = numbers.get_nowait()
                except queue.Empty:
                    return
                content = f"photograph {number}\n".encode() * 400
                sent = self.insist(
                    lambda c=content: client.post("/v1/uploads", content=c), self.upload_s
                )
                body = {"start": sent["name"], "steps": STEPS}
                headers = {"Idempotency-Key": f"load-{number}"}
                job = self.insist(
                    lambda b=body, h=headers: client.post("/v1/jobs/toy.count", json=b, headers=h),
                    self.submit_s,
                )
                with self.lock:
                    self.accepted[number] = job["id"]
                    self.watcher.add(job["id"])

    def insist(self, ask: Callable[[], httpx.Response], seconds: list[float]) -> dict[str, Any]:
        """Ask until there is an answer."""
        while True:
            began = time.perf_counter()
            try:
                answer = ask()
            except httpx.HTTPError:
                with self.lock:
                    self.unanswered += 1
                time.sleep(0.2)
                continue
            if answer.status_code >= 500:
                raise RuntimeError(answer.text)
            answer.raise_for_status()
            with self.lock:
                seconds.append(time.perf_counter() - began)
            return answer.json()


class Watcher:
    """A process that asks for the status of one job after the other, every so often."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--watch", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def add(self, id: str) -> None:
        """Ask for this job, too."""
        assert self._process.stdin
        self._process.stdin.write(f"{id}\n")
        self._process.stdin.flush()

    def end(self) -> list[float]:
        """The seconds of all answers."""
        return json.loads(self._process.communicate()[0])


def watch(url: str) -> None:
    """The watcher's process: ids come in until the end, seconds go out."""
    known, over = list[str](), threading.Event()

    def listen() -> None:
        for line in iter(sys.stdin.readline, ""):
            known.append(line.strip())
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    chance, seconds = random.Random(0), list[float]()
    address = httpx.URL(url)
    connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
    while not over.wait(ASK_EVERY_S):
        if not known:
            continue
        began = time.perf_counter()
        try:
            connection.request("GET", f"/v1/jobs/{chance.choice(known)}")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):  # it is being started again
            connection.close()
            continue
        if answer.status != 200:
            raise SystemExit(f"a status call was answered {answer.status}")
        seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds))


def run(jobs: int, clients: int, *, shared: bool, kills: bool) -> dict[str, Any]:
    """Put the load on a service and say what became of it."""
    from servers import PostgresServer, RedisServer, free_port

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        options, workers = ["--workers", "2"], list[subprocess.Popen[bytes]]()
        if shared:
            redis = stack.enter_context(RedisServer())
            database = stack.enter_context(PostgresServer()).make("load")
            options = ["--executor", "rq", "--queue", redis.url, "--database", database]
            words = ["worker", "--runs", "runs", "--device", "cpu", *options]
            for number in range(2):
                workers.append(child(words, folder / f"worker-{number}.log", nice=10))
                stack.callback(workers[-1].kill)
        server = Server(folder, free_port(), options)
        stack.callback(server.end)
        server.start()
        began = time.monotonic()
        load = Load(server.url, jobs)
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(jobs):
            numbers.put(number)
        threads = [threading.Thread(target=load.client, args=(numbers,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        if kills:
            kill_in_the_middle(load, server, workers)
        for thread in threads:
            thread.join()
        accepted_s = time.monotonic() - began
        rows = wait_for_all(load, server)
        total_s = time.monotonic() - began
        load.status_s = load.watcher.end()
        cpu_s = server.cpu_s()
        server.stop()
        counted = {"accepted_s": accepted_s, "total_s": total_s, "restart_s": server.restart_s}
        counted["server_cpu_s_since_start"] = cpu_s
        return verdict(load, rows, folder / "runs") | {
            "shared": shared,
            "clients": clients,
            "killed": (["server", "worker"] if shared else ["server"]) if kills else [],
            **{name: round(value, 2) for name, value in counted.items()},
        }


def kill_in_the_middle(load: Load, server: Server, workers: list[subprocess.Popen[bytes]]) -> None:
    """Kill the server while clients are still sending and jobs are at work, then a worker."""
    while len(load.accepted) < load.jobs // 2:
        time.sleep(0.02)
    server.kill()
    time.sleep(1)
    server.start()
    if workers:
        while ended(server.url) < load.jobs // 4:
            time.sleep(0.5)
        workers[0].kill()  # of the two, so that the other one has to do the rest


def ended(url: str) -> int:
    """How many jobs have ended."""
    counts = httpx.get(f"{url}/readyz", timeout=60).json()["jobs"]
    return sum(counts.get(state, 0) for state in ("succeeded", "failed", "cancelled"))


def wait_for_all(load: Load, server: Server) -> list[dict[str, Any]]:
    """The jobs at their ends."""
    deadline = time.monotonic() + PATIENCE_S
    while ended(server.url) < load.jobs and time.monotonic() < deadline:
        time.sleep(1)
    with httpx.Client(base_url=server.url, timeout=60) as client:
        return [client.get(f"/v1/jobs/{id}").json() for id in load.accepted.values()]


def verdict(load: Load, rows: list[dict[str, Any]], runs: Path) -> dict[str, Any]:
    """What became of the jobs, by their rows and by what their runs noted."""
    states = Counter(row["state"] for row in rows)
    finished = Counter[str]()
    for path in runs.glob("*/events.jsonl"):
        events = [json.loads(line) for line in path.read_text().splitlines()]
        finished[path.parent.name] = sum(
            event["kind"] == "state"
            and bool(event["stage"])
            and event["state"] == "done"
            and not event["reused"]  # that it was found done is noted, too
            for event in events
        )
    values = {row["result"]["stages"][0]["scores"]["value"] for row in rows if row["result"]}
    expected = {STEPS + 400.0 * len(f"photograph {number}\n") for number in range(load.jobs)}
    return {
        "jobs": load.jobs,
        "accepted": len(set(load.accepted.values())),
        "states": dict(states),
        "lost": load.jobs - states["succeeded"],
        "finished_more_than_once": sum(count > 1 for count in finished.values()),
        "runs": len(finished),
        "wrong_results": len(values ^ expected),
        "attempts": dict(Counter(str(row["attempt"]) for row in rows)),
        "unanswered_requests": load.unanswered,
        "status_calls": len(load.status_s),
        **{
            f"{name}_{point}_ms": quantile(seconds, part)
            for name, seconds in {
                "status": load.status_s, "submit": load.submit_s, "upload": load.upload_s
            }.items()
            for point, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
    }  # fmt: skip


def quantile(seconds: list[float], part: float) -> float:
    """So large a part of the times is at most that, in ms."""
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--shared", action="store_true", help="PostgreSQL, Redis, two workers")
    parser.add_argument("--no-kill", action="store_true")
    parser.add_argument("--out", type=Path, help="a JSON file to which the row is added")
    parser.add_argument("--watch", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        watch(options.watch)
        return
    before = os.getloadavg()
    row = run(options.jobs, options.clients, shared=options.shared, kills=not options.no_kill)
    row |= {"load_before": round(before[0], 1), "load_after": round(os.getloadavg()[0], 1)}
    print(json.dumps(row, indent=1))
    if options.out:
        record(options.out, row)


def record(path: Path, row: dict[str, Any]) -> None:
    """Add the row to a record, in place of an older one of its kind."""
    known = json.loads(path.read_text())["rows"] if path.is_file() else []
    kind = [row["shared"], row["killed"]]
    rows = [one for one in known if [one["shared"], one["killed"]] != kind]
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    machine = {
        "cpu": models[0].partition(": ")[2] if models else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    whole = {"name": "service/load", "date": date.today().isoformat(), "machine": machine}
    path.write_text(json.dumps(whole | {"rows": [*rows, row]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
