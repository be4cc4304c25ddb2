"""`synth.clean`: a data set goes through operators, and every row that does not come out is told.

Reading, measuring and deciding are one pass over parts of the data set; what is finished is kept,
so that a run that was stopped or killed goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fovea.errors import ConfigError, DataError
from fovea.runs.durable import sweep, write_json
from fovea.runs.stage import Context
from fovea.synth.engine import Engine, Result, Watcher
from fovea.synth.ledger import summary
from fovea.synth.plan import IDLE_PARAMETERS, Plan, plan_of, quirks
from fovea.synth.result import form_of, write_result
from fovea.synth.settings.clean import CleanConfig
from fovea.synth.settings.data import DataConfig
from fovea.synth.settings.dialect import reason
from fovea.synth.source import parts_of, root_of
from fovea.synth.state import dumped
from fovea.synth.unpack import encrypt, fernet_of


def clean(config: CleanConfig, context: Context) -> dict[str, float]:
    """Put the data set through the operators and write what is left.

    Raises:
        ConfigError: the recipe is not valid.
        DataError: the data set cannot be read, or a row fails and `skip_op_error` is false.
    """
    fernet = fernet_of(config.encryption_key_path) if config.encrypt_before_export else None
    _insist_on_a_folder_of_its_own(config)
    root = root_of(config.dataset_path, config.image_root)
    is_absolute = "absolute_paths" in quirks(config.compat)
    plan = plan_of(
        config,
        seed=context.seed,
        root=root,
        keeps_stats=config.keep_stats_in_res_ds,
        keeps_hashes=config.keep_hashes_in_res_ds,
        paths="absolute" if is_absolute else config.export_paths,
        traced=tuple(config.op_list_to_trace) if config.open_tracer else None,
        trace_num=config.trace_num,
        trace_keys=tuple(config.trace_keys),
        result=_result_folder(config, context),
    )
    say_idle(config, plan, context)
    result = run_engine(config, plan, context)
    form = form_of(config.export_path, config.export_type)
    write_result(
        context.output("dataset"),
        result.states,
        plan.handling,
        form=form,
        shard_bytes=config.export_shard_size,
    )
    scores = write_report(result, context, project=config.project_name)
    if fernet is not None:
        for file in context.output("dataset").glob("res*"):
            encrypt(file, fernet)
    if config.export_path:
        _export(Path(config.export_path), context.output("dataset"))
    if config.encrypt_before_export or config.decrypt_after_reading:
        for folder in (_unpacked(config, context), _parts(config, context)):
            shutil.rmtree(folder, ignore_errors=True)
    return scores


def _insist_on_a_folder_of_its_own(config: CleanConfig) -> None:
    """What is secret must not stay where other runs look for finished work.

    Raises:
        ConfigError: it would.
    """
    is_secret = config.encrypt_before_export or config.decrypt_after_reading
    shared = "ds_cache_dir" if config.ds_cache_dir else "temp_dir" if config.temp_dir else ""
    if is_secret and shared:
        raise ConfigError(
            f"{shared} keeps rows as they are for other runs, and encryption was asked for. Leave"
            f" {shared} out: finished parts are then removed at the end."
        )


def _parts(config: DataConfig, context: Context) -> Path:
    return Path(config.ds_cache_dir) if config.ds_cache_dir else context.folder / "parts"


def _unpacked(config: DataConfig, context: Context) -> Path:
    return Path(config.temp_dir) if config.temp_dir else context.folder / "read"


def run_engine(config: DataConfig, plan: Plan, context: Context) -> Result:
    """Run the plan with its finished parts in the stage's folder, or in the shared one.

    Raises:
        DataError: not one row can be read.
    """
    work = _parts(config, context)
    if not config.ds_cache_dir:
        sweep(work)
    parts = parts_of(
        config.dataset_path,
        _unpacked(config, context),
        rows=config.shard_rows or plan.part_rows,
        suffixes=config.suffixes,
        weights=config.weights,
        most=config.max_sample_num,
        seed=context.seed,
        fernet=fernet_of(config.encryption_key_path) if config.decrypt_after_reading else None,
        image_root=config.image_root,
        image_key=config.image_key,
    )
    watcher = Watcher(
        done=context.items.add,
        progress=lambda done, total: context.progress(done, total, "rows"),
        note=context.note,
        should_stop=context.should_stop,
        stop=context.stop,
    )
    cluster = None if config.executor_type == "default" else config.ray_address
    engine = Engine(plan, work, jobs=config.np, cluster=cluster, watcher=watcher)
    if config.open_monitor:
        from fovea.synth.monitor import Monitor

        with Monitor() as monitor:
            result = engine.run(parts)
        monitor.write(context.output("monitor"), plan.steps, result)
    else:
        result = engine.run(parts)
    if 0 < result.counts.read == result.counts.unread:
        first = result.entries[0]
        raise DataError(
            f"not one of the {result.counts.read:,} rows of "
            f"{', '.join(map(str, config.dataset_path))} can be used. The first, {first['file']}:"
            f"{first['line']}: {first['message']}"
        )
    return result


def say_idle(config: DataConfig, plan: Plan, context: Context) -> None:
    """Say once what of the recipe has no effect here."""
    if config.ignored:
        context.note("without effect here: " + _reasons({n: reason(n) for n in config.ignored}))
    if plan.idle:
        told = _reasons({name: IDLE_PARAMETERS[name] for name in plan.idle})
        context.note("parameters of operators without effect here: " + told)


def _reasons(why: Mapping[str, str]) -> str:
    """`use_cache, use_checkpoint (finished parts are always kept); turbo (...)`."""
    found: dict[str, list[str]] = {}
    for name, said in why.items():
        found.setdefault(said, []).append(name)
    return "; ".join(f"{', '.join(names)} ({said})" for said, names in found.items())


def write_report(result: Result, context: Context, *, project: str = "") -> dict[str, float]:
    """Write the books, the ledger, the duplicates and the examples; give the scores."""
    counts = result.counts
    told = {"project": project} if project else {}
    told |= counts.as_data() | {"lost_by": summary(result.entries)}
    limits = {d.label: d.limits for d in result.decisions if d.limits}
    write_json(context.output("report"), told | ({"limits": limits} if limits else {}))
    write_lines(context.output("errors"), result.entries)
    clusters = [{"operator": d.label} | cluster for d in result.decisions for cluster in d.clusters]
    if clusters:
        write_lines(context.output("duplicates"), clusters)
    for label, examples in result.traces.examples.items():
        place, _, name = label.partition(".")
        kind = "duplicate" if examples and "dup1" in examples[0] else "sample_trace"
        folder = context.output("trace")
        folder.mkdir(parents=True, exist_ok=True)
        write_lines(folder / f"{kind}-{place}-{name}.jsonl", examples)
    lost = sum(1 for entry in result.entries if entry["lost"])
    if lost:
        context.note(
            f"{lost:,} row{'s' * (lost > 1)} could not be used; errors.jsonl says of each why",
            level="warning",
        )
    return {
        "read": float(counts.read),
        "kept": float(counts.kept),
        "errors": float(lost),
        "kept_part": counts.kept / counts.read if counts.read else 0.0,
    }


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a row a line."""
    with path.open("wb") as file:
        file.writelines(dumped(row) + b"\n" for row in rows)


def _result_folder(config: CleanConfig, context: Context) -> Path:
    if config.export_path:
        return Path(config.export_path).absolute().parent
    return (context.folder / "out" / "dataset").absolute()


def _export(wanted: Path, made: Path) -> None:
    """Put the result under the name that the recipe gives; each file appears whole."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for file in sorted(made.glob("res*")):
        target = wanted.with_name(file.name.replace("res", wanted.name.partition(".")[0], 1))
        draft = target.with_name(f".{target.name}.draft")
        shutil.copyfile(file, draft)
        draft.replace(target)
