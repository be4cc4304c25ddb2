// The page of the service: what is asked for, and how it goes.
"use strict";
(() => {
  Object.assign(fovea.words.en, {
    jobs: "Jobs", no_jobs: "Nothing has been asked for yet.", more: "Older jobs", new_job: "New job", what: "What",
    preset: "Preset", no_preset: "none", start: "Start", stages_group: "Stages", recipes_group: "Recipes", advanced: "Advanced",
    drop_here: "Drop files here, or pick", pick_files: "files", pick_folder: "a folder", or_choose: "or choose …",
    sending: "Sending …", files: "files", queued: "waiting", succeeded: "done", cancelling: "stopping", cancel: "Stop",
    cached: "from an earlier run", lost: "The service does not answer.", sample: "sample",
  });
  Object.assign(fovea.words.zh, {
    jobs: "任务", no_jobs: "还没有任务。", more: "更早的任务", new_job: "新任务", what: "内容",
    preset: "预设", no_preset: "无", start: "开始", stages_group: "阶段", recipes_group: "流程", advanced: "高级",
    drop_here: "将文件拖到此处,或选择", pick_files: "文件", pick_folder: "文件夹", or_choose: "或从中选择……",
    sending: "正在上传……", files: "个文件", queued: "等待中", succeeded: "完成", cancelling: "正在停止", cancel: "停止",
    cached: "来自之前的运行", lost: "服务没有响应。", sample: "示例",
  });
  const { say, translate, make } = fovea;
  const find = (id) => document.getElementById(id);
  const state = { jobs: [], shown: 30, stages: [], samples: [], form: null };

  async function ask(address, options) {
    const answer = await fetch(address, options);
    const data = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(data.detail), { problem: data });
    return data;
  }

  // ---- the list ----------------------------------------------------------------------------------------------------

  function duration(job) {
    if (!job.started) return "";
    const seconds = ((job.ended ? new Date(job.ended) : new Date()) - new Date(job.started)) / 1000;
    return seconds < 60 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s` : `${Math.floor(Math.round(seconds) / 60)} min ${Math.round(seconds) % 60} s`;
  }

  function line(job) {
    const isOpen = job.state === "queued" || job.state === "running";
    const word = job.cancelling ? "cancelling" : job.cached ? "cached" : job.state;
    const name = job.started ? make("a", { href: `${job.links.page}`, text: job.kind }) : make("b", { text: job.kind });
    const when = new Date(job.created).toLocaleString(fovea.locale(), { dateStyle: "short", timeStyle: "short" });
    const stop = isOpen && !job.cancelling
      ? make("button", { className: "quiet", type: "button", text: say("cancel"), "aria-label": `${say("cancel")} ${job.kind}` }) : null;
    stop?.addEventListener("click", async () => {
      stop.disabled = true;
      await ask(job.links.self, { method: "DELETE" }).catch(lost);
      refresh();
    });
    const scores = (job.result?.stages ?? []).flatMap((stage) => Object.entries(stage.scores))
      .slice(0, 6).map(([key, value]) => `${key} ${Number(value).toPrecision(4)}`).join("   ");
    return make("li", { className: "job", "data-state": job.state },
      make("span", { className: "dot", title: say(job.state) }),
      make("span", {}, name, make("span", { className: "when", text: when })),
      make("span", { className: "side" }, `${say(word)} ${duration(job)}`, stop),
      job.state === "running" ? make("progress", { max: 1, value: job.progress?.fraction ?? 0, "aria-label": job.kind }) : null,
      job.message || scores ? make("small", { text: job.message || scores }) : null);
  }

  function showJobs(page) {
    const text = JSON.stringify([page, document.documentElement.lang]);
    const isLive = page.jobs.some((job) => job.state === "running");
    if (text === state.text && !isLive) return;
    state.text = text;
    state.jobs = page.jobs;
    const focused = document.activeElement?.getAttribute("aria-label");
    find("jobs").replaceChildren(...page.jobs.map(line));
    if (focused) [...find("jobs").querySelectorAll("button")].find((button) => button.getAttribute("aria-label") === focused)?.focus();
    find("none").hidden = page.jobs.length > 0;
    find("more").hidden = !page.next;
  }

  function lost() {
    find("about").textContent = say("lost");
  }

  async function refresh() {
    clearTimeout(state.timer);
    try {
      showJobs(await ask(`/v1/jobs?limit=${state.shown}`));
      find("about").textContent = "";
    } catch {
      lost();
    }
    const isOpen = state.jobs.some((job) => job.state === "running" || job.state === "queued");
    state.timer = setTimeout(refresh, isOpen ? 1000 : 5000);
  }

  // ---- the form ----------------------------------------------------------------------------------------------------

  // What may stand for an input: the samples, and what earlier jobs made of that kind.
  function choices(kind) {
    const samples = state.samples.map((name) => ({ name, label: `${say("sample")}: ${name.split("/").pop()}` }));
    const made = state.jobs.flatMap((job) => (job.result?.artifacts ?? []).filter((one) => !kind || one.kind === kind)
      .map((one) => ({ name: `jobs/${job.id}/${one.name}`, label: `${one.name} (${job.kind}, ${new Date(job.ended).toLocaleString(fovea.locale())})` })));
    return kind && kind !== "capture" && kind !== "folder" && kind !== "images" ? made : [...samples, ...made];
  }

  async function chooseKind() {
    const stage = state.stages.find((one) => one.kind === find("kind").value);
    find("summary").textContent = stage.missing || stage.summary;
    find("go").disabled = Boolean(stage.missing);
    find("preset-field").hidden = !stage.presets.length;
    find("preset").replaceChildren(make("option", { text: say("no_preset"), value: "" }), ...stage.presets.map((name) => make("option", { text: name, value: name })));
    find("trouble").textContent = "";
    const schema = await ask(stage.schema_href);
    if (find("kind").value === stage.kind) state.form = fovea.form(find("fields"), schema, choices);
  }

  async function submit(event) {
    event.preventDefault();
    const preset = find("preset").value;
    const address = `/v1/jobs/${encodeURIComponent(find("kind").value)}${preset ? `?preset=${encodeURIComponent(preset)}` : ""}`;
    find("go").disabled = true;
    try {
      await ask(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(state.form.body()) });
      state.form.complain([]);
      find("trouble").textContent = "";
      refresh();
    } catch (error) {
      const left = state.form.complain(error.problem?.errors ?? []);
      find("trouble").textContent = [error.message, ...left].join("\n");
    }
    find("go").disabled = false;
  }

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    find("theme").setAttribute("aria-pressed", String(theme === "dark"));
  }

  function retell() {
    translate();
    find("language").textContent = say("other");
    const option = (stage) => make("option", { text: stage.kind, value: stage.kind });
    const before = find("kind").value;
    find("kind").replaceChildren(
      make("optgroup", { label: say("recipes_group") }, ...state.stages.filter((one) => one.is_recipe).map(option)),
      make("optgroup", { label: say("stages_group") }, ...state.stages.filter((one) => !one.is_recipe).map(option)));
    find("kind").value = before || state.stages.find((one) => !one.is_recipe)?.kind;
    return chooseKind();
  }

  async function begin() {
    const theme = fovea.remembered("fovea.theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    setTheme(theme);
    translate();
    Object.assign(state, await ask("/v1/stages"));
    await refresh();
    find("kind").addEventListener("change", chooseKind);
    find("form").addEventListener("submit", submit);
    find("more").addEventListener("click", () => { state.shown = Math.min(200, state.shown + 50); refresh(); });
    find("language").addEventListener("click", () => { fovea.switchLanguage(); state.text = ""; retell(); refresh(); });
    find("theme").addEventListener("click", () => {
      const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      fovea.remember("fovea.theme", next);
      setTheme(next);
    });
    // A file dropped beside its place must not replace the page.
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
    await retell();
    fovea.ready = true;
  }

  begin().catch(lost);
})();
