// Scenes on a canvas, several at a time, to walk in: the viewer's SplatView with a list, effects and a count of frames.

import { Effects } from "./effects.js";
import { kept } from "./settings.js";

const { fovea } = /** @type {any} */ (window);
const SCRIPTS = ["vendor/spark-three.min.js", "rig.js", "splat.js"];

/** How things look unless somebody says otherwise. Exposure is in stops, dispersion's amount in parts of the scene. */
export const LOOK = { size: 1, opacity: 1, exposure: 0, least: 0, speed: 1, amount: 0, frequency: 1, pace: 1 };

/** @type {Promise<void>|undefined} */
let scripts;

/** The renderer is large, so it comes when the first scene does; its scripts are classic ones that must keep their order. */
function loadScripts() {
  scripts ??= (async () => {
    for (const name of SCRIPTS) {
      await new Promise((done, fail) => {
        const script = document.createElement("script");
        Object.assign(script, { src: new URL(name, import.meta.url).href, onload: done, onerror: fail });
        document.head.append(script);
      });
    }
  })();
  return scripts;
}

/** @typedef {{mesh: any, extent: any, count: number}} Loaded */

export class Walk {
  /** @param {HTMLElement} element @param {HTMLCanvasElement} canvas */
  static async open(element, canvas) {
    await loadScripts();
    return new Walk(new fovea.SplatView(element, canvas));
  }

  /** @param {any} view */
  constructor(view) {
    this.view = fovea.view = view;
    fovea.walk = this;
    this.effects = new Effects(/** @type {any} */ (window).foveaVendor.dyno);
    this.look = { ...LOOK, ...kept("look", {}) };
    /** @type {Map<string, Loaded>} */
    this.scenes = new Map();
    this.framesPerSecond = 0;
    this.last = 0;
    this.onFrame = () => {};
    view.beforeFrame = () => this.beforeFrame();
    view.onReady = () => { fovea.ready = true; };
  }

  /** How many Gaussians are shown. */
  get count() {
    return [...this.scenes.values()].reduce((sum, { mesh, count }) => sum + (mesh.visible ? count : 0), 0);
  }

  /** Load a scene and show it. @param {string} id @param {Uint8Array} bytes @param {string} format */
  async add(id, bytes, format) {
    const mesh = await fovea.openMesh(bytes, format);
    mesh.objectModifier = this.effects.modifier();
    mesh.updateGenerator();
    this.scenes.set(id, { mesh, extent: fovea.bounds(mesh), count: mesh.packedSplats.numSplats });
    this.view.scene.add(mesh);
    this.setLook(this.look);
  }

  /** Look at this scene, from its first view; others stay as they are. @param {string} id */
  attend(id) {
    const found = this.scenes.get(id);
    if (!found) return;
    fovea.ready = false;
    this.effects.uniforms.reach.value = found.extent.reach;
    this.view.attend(found.mesh, found.extent);
    this.view.home(false);
  }

  /** @param {string} id @param {boolean} isShown */
  show(id, isShown) {
    const found = this.scenes.get(id);
    if (found) found.mesh.visible = isShown;
    this.view.draw();
  }

  /** @param {string} id */
  isShown(id) {
    return this.scenes.get(id)?.mesh.visible ?? false;
  }

  /** @param {string} id */
  remove(id) {
    const found = this.scenes.get(id);
    if (!found) return;
    this.view.scene.remove(found.mesh);
    found.mesh.dispose();
    this.scenes.delete(id);
    if (this.view.mesh === found.mesh) this.view.mesh = null;
    this.view.draw();
  }

  /** @param {typeof LOOK} look */
  setLook(look) {
    this.look = look;
    const { uniforms } = this.effects;
    uniforms.size.value = look.size;
    uniforms.least.value = look.least;
    uniforms.amount.value = look.amount;
    uniforms.frequency.value = look.frequency;
    this.effects.speed = look.pace;
    this.view.rig.speed = look.speed;
    for (const { mesh } of this.scenes.values()) {
      mesh.opacity = look.opacity;
      mesh.recolor.setScalar(2 ** look.exposure);
      mesh.updateVersion();
    }
    this.view.draw();
  }

  /** Says whether the next frame is wanted whatever happens. */
  beforeFrame() {
    const now = performance.now(), passed = (now - this.last) / 1000;
    this.last = now;
    if (passed > 0 && passed < 2) {
      const rate = 1 / passed;
      this.framesPerSecond = this.framesPerSecond ? this.framesPerSecond + 0.15 * (rate - this.framesPerSecond) : rate;
    }
    if (this.effects.isMoving) {
      this.effects.advance(Math.min(passed, 0.1));
      for (const { mesh } of this.scenes.values()) mesh.updateVersion();
    }
    this.onFrame();
    return this.effects.isMoving && this.scenes.size > 0 && this.view.element.isConnected;
  }

  /** A picture of what is shown, as a file's address. */
  picture() {
    this.view.renderer.render(this.view.scene, this.view.camera);
    return this.view.canvas.toDataURL("image/png");
  }
}
