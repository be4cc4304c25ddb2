"""A stand-in for `llamafactory-cli train FILE`: the same files, in the same way, without a model.

It refuses unknown keys, writes trainer_log.jsonl through a thread that is closed when training
ends, a trainer_state.json in each checkpoint and at the end, and all_results.json after the last
evaluation. It goes on from a checkpoint in its output_dir without a word. A grandchild in a session
of its own stands for torchrun's ranks. `run_name` says how it fails.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

KNOWN = {
    "stage", "do_train", "do_eval", "model_name_or_path", "finetuning_type", "template", "dataset",
    "output_dir", "report_to", "learning_rate", "lora_rank", "lora_alpha", "eval_strategy",
    "eval_steps", "val_size", "max_steps", "save_steps", "logging_steps", "run_name",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["train"])
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    settings = yaml.safe_load(args.file.read_text())
    unknown = sorted(set(settings) - KNOWN)
    if unknown:
        raise ValueError(
            f"Some specified arguments are not used by the HfArgumentParser: {unknown}"
        )
    out = Path(settings["output_dir"])
    out.mkdir(parents=True, exist_ok=True)
    rank = "import time; time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", rank], start_new_session=True)
    return train(settings, out, settings.get("run_name", ""))


def quality(settings: dict, step: int) -> float:
    rate = float(settings["learning_rate"])
    return 1.0 + abs(rate - 1e-4) * 1e3 + 8 / settings["lora_rank"] + 1 / (1 + step)


def train(settings: dict, out: Path, fate: str) -> int:
    steps, history, first = settings.get("max_steps", 6), [], 0
    checkpoints = sorted(out.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    if checkpoints:
        state = json.loads((checkpoints[-1] / "trainer_state.json").read_text())
        history, first = state["log_history"], state["global_step"]
        say(f"Resuming training from {checkpoints[-1]}")
    pool = ThreadPoolExecutor(1)
    for step in range(first + 1, steps + 1):
        time.sleep(float(os.environ.get("FAKE_PAUSE_S", "0.02")))
        loss = float("nan") if fate == "nan" and step >= 2 else quality(settings, step)
        entry = {"loss": loss + 0.5, "learning_rate": 1e-4, "epoch": step / steps, "step": step}
        history.append(entry)
        pool.submit(log, out, {"loss": entry["loss"], "lr": 1e-4}, step, steps)
        say({"loss": str(entry["loss"]), "epoch": str(entry["epoch"])})
        if settings.get("eval_strategy") == "steps" and fate != "no_metric":
            history.append({"eval_loss": loss, "epoch": step / steps, "step": step})
            pool.submit(log, out, {"eval_loss": loss}, step, steps)
        fail(fate, step)
        if step % settings.get("save_steps", 2) == 0:
            save(out / f"checkpoint-{step}", step, history)
    pool.shutdown(wait=True)
    final = {"train_loss": quality(settings, steps) + 0.5, "train_runtime": 1.0}
    if fate != "no_metric":
        final["eval_loss"] = quality(settings, steps)
    (out / "all_results.json").write_text(json.dumps(final))
    save(out, steps, history)
    return 0


def fail(fate: str, step: int) -> None:
    if step < 3:
        return
    if fate == "oom":
        raise RuntimeError("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB")
    if fate == "error":
        sys.exit(1)
    if fate == "hang":
        time.sleep(600)


def say(words: object) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def log(out: Path, logs: dict, step: int, steps: int) -> None:
    line = {"current_steps": step, "total_steps": steps, **logs, "epoch": step / steps}
    line |= {"percentage": round(100 * step / steps, 2), "elapsed_time": "0:00:01"}
    with (out / "trainer_log.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def save(folder: Path, step: int, history: list) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_model.bin").write_bytes(b"0" * 1000)
    state = {"global_step": step, "log_history": history}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    for old in sorted(folder.parent.glob("checkpoint-*"), key=lambda p: int(p.name[11:]))[:-2]:
        shutil.rmtree(old)


if __name__ == "__main__":
    sys.exit(main())
