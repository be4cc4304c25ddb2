// A photograph laid over the render from its camera, and the line between the two.
"use strict";
(() => {
  const { say } = fovea;
  const STEP = 0.02;

  class Wipe {
    constructor(stage) {
      const find = (name) => stage.querySelector(name);
      Object.assign(this, { stage, image: find("#photo"), line: find("#wipe"), labels: [find("#wipe-left"), find("#wipe-right")] });
      this.part = 0.5;
      this.frame = null;
      this.listen();
    }

    // Lay a picture over `frame` (CSS pixels of the stage), with words for what lies left and right of the line.
    show(url, frame, left, right) {
      this.frame = frame;
      if (this.image.src !== url) this.image.src = url;
      for (const [side, value] of Object.entries(frame)) this.image.style[side] = `${value}px`;
      this.labels[0].textContent = left;
      this.labels[1].textContent = right;
      for (const element of [this.image, this.line, ...this.labels]) element.hidden = false;
      this.line.setAttribute("aria-label", say("wipe"));
      this.move(this.part);
    }

    hide() {
      this.frame = null;
      for (const element of [this.image, this.line, ...this.labels]) element.hidden = true;
    }

    move(part) {
      this.part = Math.max(0, Math.min(1, part));
      const { left, width, top } = this.frame;
      const place = left + width * this.part;
      this.image.style.clipPath = `inset(0 ${(1 - this.part) * 100}% 0 0)`;
      this.line.style.left = `${place}px`;
      this.line.setAttribute("aria-valuenow", Math.round(100 * this.part));
      const height = `${Math.max(10, top + 10)}px`;
      this.labels.forEach((label) => { label.style.top = height; });
      this.labels[0].style.right = `${this.stage.clientWidth - place + 10}px`;
      this.labels[1].style.left = `${place + 10}px`;
    }

    listen() {
      const { line, stage } = this;
      const follow = (event) => this.move((event.clientX - stage.getBoundingClientRect().left - this.frame.left) / this.frame.width);
      line.addEventListener("pointerdown", (event) => {
        line.setPointerCapture(event.pointerId);
        line.focus();
        event.preventDefault();
      });
      line.addEventListener("pointermove", (event) => { if (line.hasPointerCapture(event.pointerId)) follow(event); });
      line.addEventListener("keydown", (event) => {
        const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: -5, PageUp: 5, Home: -1 / STEP, End: 1 / STEP }[event.key];
        if (!steps) return;
        event.preventDefault();
        event.stopPropagation();
        this.move(this.part + steps * STEP);
      });
    }
  }

  Object.assign(fovea, { Wipe });
})();
