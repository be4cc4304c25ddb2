// The page: reads what a run or a scene is (page.json, or the data inside an exported page) and shows it, again and
// again while the run is going.
"use strict";
(() => {
  const { say, translate } = fovea;
  const POLL_MS = 2000;
  const find = (id) => document.getElementById(id);
  const source = new URL(new URLSearchParams(location.search).get("data") ?? "page.json", location.href);
  const inside = find("page-data");
  const isEmbedded = new URLSearchParams(location.search).has("embed"); // within another page, which says the rest itself
  const state = { page: null, view: null, scene: "", text: "", logs: new Map(), steps: new Map(), noted: "loading" };

  function make(name, { text, ...properties } = {}, ...children) {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    for (const [key, value] of Object.entries(properties)) {
      if (key in element) element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children.filter(Boolean));
    return element;
  }

  // The address of one of the page's files: within the page itself, or beside its data.
  function address(path) {
    if (path.startsWith("data:") || inside) return path;
    return new URL(path, new URL(state.page.files, source)).href;
  }

  function seconds(value) {
    if (value < 60) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
    const whole = Math.round(value), minutes = Math.floor(whole / 60);
    return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }

  function notice(word, more = "") {
    state.noted = word;
    find("notice").textContent = word ? `${say(word)}${more ? ` ${more}` : ""}` : "";
  }

  // ---- the report: stages, scores, curves -------------------------------------------------------------------------

  function card(word, ...children) {
    return make("section", { className: "card" }, make("h2", { text: say(word) }), ...children);
  }

  function stageList(stages) {
    return make("ol", { className: "stages" }, ...stages.map((stage) => {
      const line = make("li", { "data-state": stage.state }, make("span", { className: "dot", title: say(stage.state) }),
        make("span", { text: stage.key }), make("span", { className: "seconds", text: stage.seconds ? seconds(stage.seconds) : say(stage.state) }));
      if (stage.state === "running" && stage.progress) {
        const { done, total, unit } = stage.progress;
        line.append(make("progress", { value: done, max: total }),
          make("small", { text: `${done.toLocaleString(fovea.locale())} ${say("of")} ${total.toLocaleString(fovea.locale())} ${unit}` }));
      } else if (stage.summary) {
        line.append(make("small", { text: stage.summary }));
      }
      if (stage.error) line.append(make("span", { className: "error", text: stage.error }));
      return line;
    }));
  }

  function splitWord(split) {
    return ["train", "test"].includes(split) ? say(split) : split;
  }

  function scoreTable(scores) {
    const arrows = { max: "↑", min: "↓" };
    return make("table", {}, make("tbody", {}, ...scores.map((score) => make("tr", {},
      make("td", { className: "stage", text: score.stage }),
      make("td", { text: score.split ? `${score.label}, ${splitWord(score.split)}` : score.label }),
      make("td", { className: "value" }, fovea.curves.score(score.value),
        score.unit ? make("span", { className: "unit", text: score.unit }) : null,
        score.direction ? make("span", { className: "arrow", text: arrows[score.direction], title: say(`better_${score.direction}`) }) : null)))));
  }

  function noteList(notes) {
    return make("ul", { className: "notes" }, ...notes.map((note) => make("li", { className: note.level, text: note.message })));
  }

  function showReport(page) {
    const plots = fovea.curves.plots(page.curves, state.logs);
    const cards = [card("stages", stageList(page.stages))];
    if (page.scores.length) cards.push(card("scores", scoreTable(page.scores)));
    cards.push(card("curves", plots.length ? make("div", { className: "plots" }, ...plots) : make("p", { className: "muted", text: say("nothing_yet") })));
    if (page.notes.length) cards.push(card("notes", noteList(page.notes)));
    find("report").replaceChildren(...cards);
  }

  // ---- the gallery: pictures over the steps, films ------------------------------------------------------------------

  function picture(group) {
    const key = `${group.stage}/${group.name}`;
    const frames = group.frames;
    const image = make("img", { alt: group.name, loading: "lazy" });
    const where = make("span");
    const show = (index) => {
      image.src = address(frames[index].path);
      where.textContent = frames[index].step === null ? "" : `${say("step")} ${frames[index].step.toLocaleString(fovea.locale())}`;
    };
    const figure = make("figure", { className: "card picture" },
      make("figcaption", {}, make("span", { text: `${group.stage} · ${group.name}` }), where), image);
    const start = Math.min(state.steps.get(key) ?? frames.length - 1, frames.length - 1);
    if (frames.length > 1) {
      const slider = make("input", { type: "range", min: 0, max: frames.length - 1, value: start, "aria-label": say("step") });
      slider.addEventListener("input", () => {
        const index = Number(slider.value);
        if (index === frames.length - 1) state.steps.delete(key);
        else state.steps.set(key, index);
        show(index);
      });
      figure.append(slider);
    }
    image.addEventListener("load", () => figure.classList.toggle("wide", image.naturalWidth > 2.2 * image.naturalHeight || image.naturalWidth > 900), { once: true });
    show(start);
    return figure;
  }

  function film(video) {
    const caption = make("figcaption", {}, make("span", { text: `${video.stage} · ${video.name}` }));
    const player = make("video", { src: address(video.path), controls: true, loop: true, muted: true, playsInline: true, preload: "metadata" });
    if (video.poster) player.poster = address(video.poster);
    return make("figure", { className: "card picture" }, caption, player);
  }

  function showGallery(page) {
    const text = JSON.stringify([page.pictures, page.videos, document.documentElement.lang]);
    if (text === state.gallery) return; // a film that plays goes on playing
    state.gallery = text;
    find("gallery").replaceChildren(...page.videos.map(film), ...page.pictures.map(picture));
  }

  // ---- the scene ------------------------------------------------------------------------------------------------------

  function sceneColor() {
    return getComputedStyle(document.documentElement).getPropertyValue("--scene").trim();
  }

  function openView() {
    try {
      state.view = new fovea.SplatView(find("stage"), find("canvas"));
    } catch {
      notice("no_webgl");
      return null;
    }
    state.view.setBackground(sceneColor());
    state.view.onReady = () => { fovea.ready = true; };
    state.view.onFilm = (on) => find("film").setAttribute("aria-pressed", on);
    state.view.onPhoto = showPhoto;
    state.wipe = new fovea.Wipe(find("stage"));
    fovea.view = state.view;
    return state.view;
  }

  async function showScene(page) {
    const scene = page.scenes.find((one) => one.path === page.relight?.scene) ?? page.scenes.at(-1);
    const poster = page.pictures.at(-1)?.frames.at(-1);
    find("poster").hidden = Boolean(scene) || !poster;
    find("view").classList.toggle("empty", !scene);
    if (!scene) {
      if (poster) find("poster").src = address(poster.path);
      notice(page.live ? "waiting" : "no_scene");
      fovea.ready = !page.live;
      return;
    }
    const name = `${scene.path.length > 200 ? scene.path.length : scene.path} ${scene.revision}`;
    if (name === state.scene) return;
    state.scene = name;
    const view = state.view ?? openView();
    if (!view) return;
    view.setCameras(page.cameras ?? {});
    listPhotographs(view.views);
    notice("loading");
    try {
      const bytes = await fovea.bytesOf(address(scene.path), (part) => notice("loading", `${Math.round(part * 100)} %`));
      const made = page.relight ? await materials(page.relight, bytes) : null;
      find("relight").hidden = !made;
      view.resize(); // the panel takes its place before the first view is chosen
      state.count = await view.load(bytes, scene.format);
      notice("");
      caption();
      relight(page.relight, made);
    } catch (error) {
      notice("broken", String(error?.message ?? error));
    }
  }

  function caption() {
    const shown = state.count ? `${state.count.toLocaleString(fovea.locale())} ${say("gaussians")}` : "";
    find("caption").textContent = shown;
  }

  function listPhotographs(views) {
    const list = find("which");
    list.replaceChildren(make("option", { value: -1, text: say("no_photograph") }),
      ...views.map((view, index) => make("option", { value: index, text: view.name })));
    find("photographs").hidden = !views.length;
  }

  // Lay the photograph over the render; or how the scene truly looks under the light that was chosen, where that is known.
  function showPhoto(view, frame) {
    find("which").value = view ? state.view.photo : -1;
    if (!view?.photo) return void state.wipe.hide();
    const { relight } = state;
    const isRelit = relight?.shader && relight.shown === "relit";
    const truth = isRelit && Math.round(relight.set.turn) === 0 ? view.relit?.[relight.chosen.name] : null;
    const right = !relight?.shader ? say("render") : isRelit ? relight.nameOf(relight.chosen) : say(`show_${relight.shown}`);
    state.wipe.show(address(truth ?? view.photo), frame, truth ? `${say("truth")}: ${relight.nameOf(relight.chosen)}` : say("photograph"), right);
  }

  function rewipe() {
    const view = state.view?.views[state.view.photo];
    if (view) showPhoto(view, state.view.frameOf(view));
  }

  // ---- relighting -------------------------------------------------------------------------------------------------------

  async function materials(about, bytes) {
    const packed = about.materials ? await fovea.bytesOf(address(about.materials)) : null;
    return fovea.materialsOf(bytes, packed);
  }

  function relight(about, made) {
    if (!made) return void state.relight?.close();
    if (!state.relight) {
      state.relight = fovea.relight = new fovea.Relight(find("relight"), state.view, {
        fetchLight: (path) => fovea.bytesOf(address(path)), notice: tellForAWhile, changed: rewipe,
      });
      state.relight.retell();
    }
    state.relight.open(made, about);
  }

  // A sentence over the scene, for a while.
  function tellForAWhile(text) {
    find("notice").textContent = text;
    clearTimeout(state.clearing);
    if (text) state.clearing = setTimeout(() => notice(""), 8000);
  }

  function listenForFiles() {
    const stage = find("view");
    const hasFiles = (event) => state.relight?.shader && event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      stage.classList.add("dropping");
    });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) stage.classList.remove("dropping"); });
    addEventListener("drop", (event) => {
      stage.classList.remove("dropping");
      if (!hasFiles(event)) return;
      event.preventDefault();
      state.relight.take(event.dataTransfer.files[0]);
    });
  }

  function nextPhotograph(direction) {
    const view = state.view;
    if (!view?.views.length) return;
    const here = Number(find("which").value);
    const count = view.views.length;
    const index = here < 0 ? (direction > 0 ? 0 : count - 1) : (here + direction + count) % count;
    find("which").value = index;
    view.showPhoto(index);
  }

  // ---- buttons and keys -------------------------------------------------------------------------------------------------

  function setMode(mode) {
    state.view?.moved();
    state.view?.rig.setMode(mode);
    find("orbit").setAttribute("aria-pressed", mode === "orbit");
    find("walk").setAttribute("aria-pressed", mode === "walk");
  }

  // Another axis of the file points up; only where no camera knows better.
  const UPS = [[0, -1, 0], [0, 0, 1], [0, 1, 0]];
  const NAMED_UPS = [UPS[0], "z", "y"]; // as the lights' maps take them
  function nextUp() {
    if (!state.view?.mesh || state.page.cameras) return;
    state.up = ((state.up ?? 0) + 1) % UPS.length;
    state.view.rig.setUp(new foveaVendor.Vector3(...UPS[state.up]));
    state.view.home(false);
    if (state.relight?.shader) state.relight.stand(NAMED_UPS[state.up]);
  }

  function goHome() {
    setMode("orbit");
    state.view?.home();
  }

  function listKeys() {
    const rows = ["drag", "pan", "wheel", "move", "lift", "fast", "film", "photo", "home"];
    if (state.page && !state.page.cameras) rows.push("up");
    if (state.relight?.shader) rows.push("turn", "light");
    find("help").replaceChildren(...rows.flatMap((row) => [
      make("dt", { text: say(`help_${row}`) }), make("dd", { text: say(`help_${row}_does`) })]));
  }

  function toggleHelp() {
    listKeys();
    find("help").hidden = !find("help").hidden;
    find("ask").setAttribute("aria-expanded", !find("help").hidden);
  }

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    find("theme").setAttribute("aria-pressed", theme === "dark");
    state.view?.setBackground(sceneColor());
  }

  const MOVES = new Set(["KeyW", "KeyA", "KeyS", "KeyD", "KeyQ", "KeyE", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "ShiftLeft", "ShiftRight"]);
  const KEYS = {
    Digit1: () => setMode("orbit"), Digit2: () => setMode("walk"), KeyH: goHome, Space: () => state.view?.toggleFilm(),
    BracketLeft: () => nextPhotograph(-1), BracketRight: () => nextPhotograph(1),
    Comma: () => state.relight?.turnBy(-5), Period: () => state.relight?.turnBy(5), KeyL: () => state.relight?.nextLight(),
    KeyU: nextUp,
  };

  function listen() {
    const click = (id, action) => find(id).addEventListener("click", action);
    click("orbit", () => setMode("orbit"));
    click("walk", () => setMode("walk"));
    click("film", () => state.view?.toggleFilm());
    click("home", goHome);
    click("previous", () => nextPhotograph(-1));
    click("next", () => nextPhotograph(1));
    click("ask", toggleHelp);
    click("full", () => (document.fullscreenElement ? document.exitFullscreen() : find("view").requestFullscreen()));
    click("language", () => { fovea.switchLanguage(); retell(); });
    click("theme", () => {
      const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      fovea.remember("fovea.theme", theme);
      setTheme(theme);
    });
    find("which").addEventListener("change", (event) => {
      const index = Number(event.target.value);
      if (index >= 0) state.view?.showPhoto(index);
      else state.view?.leavePhoto();
    });
    listenForFiles();
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const inField = event.target.closest("select, input, video, .plot");
      const onButton = event.target.closest("button") && event.code === "Space";
      if (inField || onButton) return;
      if (event.key === "?") return toggleHelp();
      if (MOVES.has(event.code) && state.view?.mesh) {
        if (event.code.startsWith("Arrow") && event.target !== find("view")) return; // arrows scroll the page elsewhere
        if (!event.code.startsWith("Shift")) state.view.rig.take("key");
        state.view.rig.keys.add(event.code);
        event.preventDefault();
        state.view.draw();
      } else if (KEYS[event.code]) {
        event.preventDefault();
        KEYS[event.code]();
      }
    });
    addEventListener("keyup", (event) => state.view?.rig.keys.delete(event.code));
    addEventListener("blur", () => state.view?.rig.keys.clear());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
      if (!fovea.remembered("fovea.theme")) setTheme(event.matches ? "dark" : "light");
    });
  }

  // ---- what is shown, and again -------------------------------------------------------------------------------------------

  function retell() {
    translate();
    find("language").textContent = say("other");
    find("language").lang = document.documentElement.lang === "en" ? "zh-CN" : "en";
    listKeys();
    caption();
    if (state.view) listPhotographs(state.view.views);
    state.relight?.retell();
    rewipe();
    if (state.noted) notice(state.noted);
    if (state.page) tell(state.page);
  }

  function tell(page) {
    const isRun = page.kind === "run";
    document.title = `${page.name} · fovea`;
    find("title").textContent = page.name;
    find("state").hidden = !isRun;
    find("main").classList.toggle("alone", !isRun || isEmbedded);
    if (!isRun) return;
    find("state").dataset.state = page.state;
    find("state").textContent = say(page.state);
    find("about").textContent = page.seconds ? seconds(page.seconds) : "";
    showReport(page);
    showGallery(page);
  }

  function show(text) {
    if (text === state.text) return;
    state.text = text;
    state.page = JSON.parse(text);
    tell(state.page);
    showScene(state.page);
  }

  async function follow() {
    try {
      const response = await fetch(source, { cache: "no-store" });
      if (!response.ok) throw new Error(String(response.status));
      show(await response.text());
    } catch (error) {
      console.warn(error);
      if (!state.page || state.page.live) notice("gone");
    }
    if (!state.page || state.page.live) setTimeout(follow, POLL_MS);
  }

  // Another page of ours changed language or theme.
  addEventListener("storage", ({ key, newValue }) => {
    if (key === "fovea.theme" && newValue) setTheme(newValue);
    if (key === "fovea.lang" && newValue !== fovea.locale().slice(0, 2)) { fovea.switchLanguage(); retell(); }
  });

  document.body.classList.toggle("embedded", isEmbedded);
  const asked = new URLSearchParams(location.search).get("theme") ?? fovea.remembered("fovea.theme");
  const isDark = asked ? asked === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(isDark ? "dark" : "light");
  retell();
  listen();
  if (inside) show(inside.textContent);
  else follow();
})();
