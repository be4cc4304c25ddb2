// The relight panel: which light, turned how, what of the scene is shown, and the colours that follow from it.
//
// Colours are computed before a frame is drawn, all at once when light or material changed, and in slices when only the
// camera moved: mirrored light then follows within a few frames.
"use strict";
(() => {
  const { lights, materials, radiance, say, Shader } = fovea;
  const SHOWN = ["relit", "radiance", "albedo", "normal", "roughness", "metallic"];
  const SLICE = 8192;
  const BUDGET_MS = { changed: 40, moved: 9 };
  const START = { turn: 0, exposure: 0, roughness: 1, metallic: 0, saturation: 1, tint: "#ffffff" };
  const UNITS = { turn: (v) => `${v}°`, exposure: (v) => `${v > 0 ? "+" : ""}${v.toFixed(1)}`, metallic: (v) => `${v > 0 ? "+" : ""}${v.toFixed(2)}` };
  const DEGREES = Math.PI / 180;

  class Relight {
    // `fetchLight` gives the bytes behind the address of one of the run's lights.
    constructor(form, view, { fetchLight, notice, changed }) {
      Object.assign(this, { form, view, fetchLight, notice, changed });
      this.find = (id) => form.querySelector(`#${id}`);
      this.choices = [];
      this.shown = "relit";
      this.set = { ...START };
      this.listen();
    }

    // Take over a scene that has just been loaded; `about` is the page's `relight`.
    open(made, about) {
      const { means, opacities } = this.view.gaussians();
      if (made.count !== opacities.length) throw new Error(`${made.count} ≠ ${opacities.length}`);
      this.up = about.up;
      this.shader = new Shader(made, means, opacities);
      this.bytes = this.view.ownColors();
      this.view.beforeFrame = () => this.work();
      this.view.rig.onTurnLight = (angle) => this.turnBy(angle / DEGREES);
      if (!this.choices.length) this.offer(about.lights);
      else this.choose(this.chosen);
    }

    close() {
      this.shader = null;
      this.form.hidden = true;
      this.view.beforeFrame = () => false;
      this.view.rig.onTurnLight = null;
      this.view.setBackdrop(null);
    }

    // ---- the lights ---------------------------------------------------------------------------------------------------

    offer(listed) {
      const fitted = listed.filter((one) => one.is_fitted).length;
      for (const { name, address, is_fitted: isFitted } of listed) this.add({ name, address, isFitted, isOnly: fitted === 1 });
      for (const light of [lights.softbox(), lights.openSky()]) this.add({ name: light.name, isWord: true, light });
      this.list();
      this.choose(this.choices[0]);
      this.fetchRest();
    }

    add(choice) {
      this.choices.push(choice);
      return choice;
    }

    // The pictures of the lights that nobody has chosen yet, one after the other.
    async fetchRest() {
      for (const choice of this.choices) await this.fetched(choice).catch(() => {});
    }

    async fetched(choice) {
      choice.loading ??= (async () => {
        choice.light ??= lights.fromBytes(await this.fetchLight(choice.address), choice.name);
        if (choice.canvas) choice.light.draw(choice.canvas);
        return choice.light;
      })();
      return choice.loading;
    }

    async choose(choice) {
      this.chosen = choice;
      if (choice.input) choice.input.checked = true;
      try {
        const light = await this.fetched(choice);
        if (this.chosen !== choice) return;
        this.light = light;
        this.notice("");
        this.change("light");
      } catch (error) {
        this.notice(String(error?.message ?? error));
      }
    }

    // A file that somebody dropped or picked.
    async take(file) {
      try {
        const light = lights.fromBytes(new Uint8Array(await file.arrayBuffer()), file.name);
        const choice = this.add({ name: file.name.replace(/\.\w+$/, ""), light });
        this.list();
        await this.choose(choice);
      } catch (error) {
        this.notice(String(error?.message ?? error));
      }
    }

    nameOf(choice) {
      if (choice.isFitted) return choice.isOnly ? say("fitted") : `${say("fitted")}: ${choice.name}`;
      return choice.isWord ? say(choice.name) : choice.name.replaceAll("_", " ");
    }

    list() {
      const tiles = this.choices.map((choice) => {
        choice.input = Object.assign(document.createElement("input"), { type: "radio", name: "light", checked: choice === this.chosen });
        choice.input.addEventListener("change", () => this.choose(choice));
        choice.canvas = Object.assign(document.createElement("canvas"), { width: 128, height: 64 });
        if (choice.light) choice.light.draw(choice.canvas);
        return tile("label", choice.input, choice.canvas, this.nameOf(choice));
      });
      const input = Object.assign(document.createElement("input"), { type: "file", accept: ".hdr,.exr" });
      input.addEventListener("change", () => { if (input.files[0]) this.take(input.files[0]); });
      const plus = Object.assign(document.createElement("i"), { textContent: "+" });
      const open = tile("label", input, plus, say("own_light"));
      open.title = say("own_light_hint");
      this.find("lights").replaceChildren(...tiles, open);
    }

    // ---- what was chosen ----------------------------------------------------------------------------------------------

    // Words again, after the language changed.
    retell() {
      this.find("shown").replaceChildren(...SHOWN.map((name) => {
        const input = Object.assign(document.createElement("input"), { type: "radio", name: "shown", value: name, checked: name === this.shown });
        input.addEventListener("change", () => this.show(name));
        return tile("label", input, document.createElement("i"), say(`show_${name}`));
      }));
      this.list();
      this.tell();
    }

    show(name) {
      this.shown = name;
      this.tell();
      this.change("shown");
    }

    reset() {
      this.set = { ...START };
      this.shown = "relit";
      this.retell();
      this.change("light", "material");
    }

    turnBy(angle) {
      if (!this.shader) return;
      this.set.turn = ((this.set.turn + angle + 540) % 360) - 180;
      this.tell();
      this.change("light");
    }

    // Another way is up.
    stand(up) {
      this.up = up;
      this.change("light");
    }

    nextLight() {
      if (!this.shader) return;
      const { choices } = this;
      this.choose(choices[(choices.indexOf(this.chosen) + 1) % choices.length]);
    }

    tell() {
      for (const [name, value] of Object.entries(this.set)) {
        const input = this.find(name), output = input.parentElement.querySelector("output");
        input.value = value;
        if (output) output.textContent = (UNITS[name] ?? ((v) => `× ${v.toFixed(2)}`))(name === "turn" ? Math.round(value) : value);
      }
      for (const input of this.find("shown").querySelectorAll("input")) input.checked = input.value === this.shown;
    }

    listen() {
      for (const name of Object.keys(START)) {
        this.find(name).addEventListener("input", (event) => {
          this.set[name] = name === "tint" ? event.target.value : Number(event.target.value);
          this.tell();
          this.change(name === "turn" || name === "exposure" ? "light" : "material");
        });
        this.find(name).closest("label").addEventListener("dblclick", () => {
          this.set[name] = START[name];
          this.tell();
          this.change("light", "material");
        });
      }
      this.find("backdrop").addEventListener("change", () => this.change("light"));
      this.find("reset").addEventListener("click", () => this.reset());
      this.form.addEventListener("submit", (event) => event.preventDefault());
      const panorama = this.find("panorama");
      panorama.addEventListener("pointerdown", (event) => panorama.setPointerCapture(event.pointerId));
      panorama.addEventListener("pointermove", (event) => {
        if (panorama.hasPointerCapture(event.pointerId)) this.turnBy(-event.movementX / panorama.clientWidth * 360);
      });
    }

    // ---- colours ------------------------------------------------------------------------------------------------------

    change(...what) {
      this.waiting = new Set([...(this.waiting ?? []), ...what]);
      this.view.draw();
      this.changed();
    }

    // Before a frame: bring the colours up to date. True when the next frame is to go on.
    work() {
      if (!this.shader || !this.light) return false;
      const began = performance.now(), { shader, waiting, view } = this;
      this.waiting = null;
      if (waiting?.has("material")) {
        const value = Number.parseInt(this.set.tint.slice(1), 16);
        const tint = [value >> 16, (value >> 8) & 255, value & 255].map((part) => radiance.toLinear(part / 255));
        shader.setMaterial({ ...this.set, tint });
      }
      if (waiting?.has("light")) this.setLight();
      if (this.shown === "radiance") {
        if (waiting) view.recolor(false);
        return false;
      }
      if (this.shown !== "relit") {
        if (waiting) this.paint();
        return false;
      }
      return this.shade(began, Boolean(waiting));
    }

    setLight() {
      const { light, set, view } = this;
      const worldToMap = radiance.worldToMap(this.up, set.turn * DEGREES), gain = 2 ** set.exposure;
      this.shader.setLight(light.under(worldToMap, gain));
      light.draw(this.find("panorama"), set.turn * DEGREES);
      view.setBackdrop(this.find("backdrop").checked ? light.map : null, worldToMap, gain);
    }

    paint() {
      this.shader.paint(this.bytes, this.shown);
      this.view.recolor(true);
    }

    // Colours from where the camera is, as many as there is time for; all of them before the first frame.
    shade(began, isChanged) {
      const { shader, view } = this, eye = view.camera.position;
      const isMoved = !this.eye || this.eye.distanceTo(eye) > 1e-3 * view.bounds.reach;
      if (isChanged || isMoved) {
        this.left = shader.count;
        this.eye = eye.clone();
      }
      if (!this.left) return false;
      if (isChanged) Object.assign(this, { place: 0, budget: BUDGET_MS.changed });
      do {
        const end = Math.min(shader.count, this.place + Math.min(SLICE, this.left));
        shader.shade(this.bytes, this.eye.toArray(), this.place, end);
        this.left -= end - this.place;
        this.place = end % shader.count;
      } while (this.left && (view.waiting || performance.now() - began < this.budget));
      view.recolor(true);
      if (!this.left) this.budget = BUDGET_MS.moved;
      return this.left > 0;
    }
  }

  function tile(name, input, picture, text) {
    const element = document.createElement(name);
    element.append(input, picture, Object.assign(document.createElement("span"), { textContent: text }));
    return element;
  }

  Object.assign(fovea, { Relight, materialsOf: (bytes, packed) => (packed ? materials.fromPacked(packed) : materials.fromPly(bytes)) });
})();
