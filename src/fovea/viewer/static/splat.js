// A scene of Gaussians on a canvas: loading, drawing when something changed, films, photographs beside the render.
//
// Scenes stay in the coordinates of their file. Up is the cameras' up where there are cameras, else -y, as in scenes
// made from photographs (OpenCV: x right, y down, z ahead).
"use strict";
(() => {
  const {
    Color, DataTexture, EquirectangularReflectionMapping, FloatType, LinearFilter, Matrix4, PerspectiveCamera, Quaternion,
    RgbaArray, Scene, SparkRenderer, SplatMesh, Vector3, WebGLRenderer,
  } = foveaVendor;
  const { DEFAULT_FOV, Rig, facing, fromOpenCV } = fovea;
  const BLUR_PX2 = 0.3; // what our rasteriser adds to each footprint
  const FILM_S = 12;
  const ROOM = 1.15; // around a photograph, for the buttons

  // The bytes behind a URL; `data:` is decoded here, because a page opened from disk may not fetch.
  async function bytesOf(url, progress = () => {}) {
    if (url.startsWith("data:")) {
      const text = atob(url.slice(url.indexOf(",") + 1));
      return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    const total = Number(response.headers.get("Content-Length")) || 0;
    const parts = [];
    let loaded = 0;
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      loaded += value.length;
      if (total) progress(loaded / total);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  function quantile(sorted, q) {
    return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  }

  // Where the Gaussians are: the middle and the spread of their centres, without stragglers.
  function bounds(mesh) {
    const axes = [[], [], []], slopes = [[], []];
    const stride = Math.max(1, Math.floor(mesh.packedSplats.numSplats / 60000));
    mesh.forEachSplat((index, center, scales, quaternion, opacity) => {
      if (index % stride || opacity < 0.1) return;
      [center.x, center.y, center.z].forEach((value, axis) => axes[axis].push(value));
      [center.x, center.y].forEach((value, axis) => slopes[axis].push(Math.abs(value / center.z)));
    });
    if (!axes[0].length) return { centre: new Vector3(), reach: 1, nearest: 0 };
    for (const list of [...axes, ...slopes]) list.sort((a, b) => a - b);
    const spans = axes.map((axis) => quantile(axis, 0.97) - quantile(axis, 0.03));
    return {
      centre: new Vector3(...axes.map((axis) => quantile(axis, 0.5))),
      middle: new Vector3(...axes.map((axis) => (quantile(axis, 0.03) + quantile(axis, 0.97)) / 2)),
      reach: Math.max(1e-3, Math.hypot(...spans) / 2),
      nearest: quantile(axes[2], 0.01),
      slopes: slopes.map((list) => quantile(list, 0.98)), // of what a camera at the origin sees, across and up
    };
  }

  async function openMesh(fileBytes, fileType) {
    const mesh = new SplatMesh({ fileBytes, fileType, fileName: `scene.${fileType}` });
    await mesh.initialized;
    if (!mesh.packedSplats?.numSplats) throw new Error("0 Gaussians");
    return mesh;
  }

  function backdrop({ width, height, pixels }) {
    const data = new Float32Array(4 * width * height);
    for (let y = 0; y < height; y++) { // a texture's rows go up
      for (let x = 0; x < width; x++) {
        const to = 4 * ((height - 1 - y) * width + x), from = 3 * (y * width + x);
        data.set(pixels.subarray(from, from + 3), to);
        data[to + 3] = 1;
      }
    }
    const texture = new DataTexture(data, width, height);
    Object.assign(texture, {
      type: FloatType, mapping: EquirectangularReflectionMapping, minFilter: LinearFilter, magFilter: LinearFilter, needsUpdate: true,
    });
    return texture;
  }

  class SplatView {
    constructor(element, canvas) {
      Object.assign(this, { element, canvas });
      this.renderer = new WebGLRenderer({ canvas, antialias: false, powerPreference: "high-performance" });
      this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
      this.scene = new Scene();
      this.camera = new PerspectiveCamera(DEFAULT_FOV, 1, 0.01, 1000);
      this.spark = new SparkRenderer({
        renderer: this.renderer, onDirty: () => this.draw(), sortRadial: false, preBlurAmount: BLUR_PX2,
        blurAmount: 0, maxStdDev: Math.sqrt(9),
      });
      this.scene.add(this.spark);
      this.rig = new Rig(this.camera, canvas, () => this.draw());
      this.rig.onMove = (cause) => this.moved(cause);
      this.mesh = null;
      this.views = [];
      this.path = [];
      this.photo = -1;
      this.film = null;
      this.onPhoto = () => {};
      this.onFilm = () => {};
      this.onReady = () => {};
      this.beforeFrame = () => false; // work to do before a frame; true when more is left for the next one
      this.waiting = false;
      new ResizeObserver(() => this.resize()).observe(element);
      this.resize();
    }

    setBackground(css) {
      this.renderer.setClearColor(new Color(css), 1);
      this.draw();
    }

    // What is known of cameras: up, a point they look at, the photographs' poses, a path to film along.
    setCameras({ up, target, views, path } = {}) {
      if (up) this.rig.setUp(new Vector3(...up));
      this.focus = target ? new Vector3(...target) : null;
      this.views = (views ?? []).map((view) => ({ ...view, ...fromOpenCV(view) }));
      this.path = (path ?? []).map(fromOpenCV);
    }

    async load(fileBytes, format) {
      const mesh = await openMesh(fileBytes, format);
      const isFirst = !this.mesh;
      if (this.mesh) {
        this.scene.remove(this.mesh);
        this.mesh.dispose();
      }
      this.colors = null;
      this.scene.add(mesh);
      this.attend(mesh, bounds(mesh));
      if (isFirst) this.home(false);
      return mesh.packedSplats.numSplats;
    }

    // Let views, films and speeds be about this mesh.
    attend(mesh, extent) {
      this.mesh = mesh;
      this.bounds = extent;
      this.rig.reach = extent.reach;
      this.camera.near = extent.reach / 500;
      this.camera.far = extent.reach * 500;
      this.camera.updateProjectionMatrix();
      this.waiting = true;
      this.draw();
    }

    // Centres and opacities of the Gaussians, in the order of the file.
    gaussians() {
      const count = this.mesh.packedSplats.numSplats;
      const means = new Float32Array(3 * count), opacities = new Float32Array(count);
      this.mesh.forEachSplat((index, center, scales, quaternion, opacity) => {
        center.toArray(means, 3 * index);
        opacities[index] = opacity;
      });
      return { means, opacities };
    }

    // Bytes for colours of one's own, RGBA in the order of the file; `recolor` shows them.
    ownColors() {
      if (this.colors) return this.colors.array;
      this.colors = new RgbaArray();
      this.mesh.splatRgba = this.colors;
      this.mesh.updateGenerator();
      return this.colors.ensureCapacity(this.mesh.packedSplats.numSplats);
    }

    // Show the bytes of `ownColors` as they are now, or the scene's own colours again.
    recolor(isOwn) {
      if (!this.colors) return;
      this.colors.count = isOwn ? this.mesh.packedSplats.numSplats : 0;
      this.colors.needsUpdate = true;
      this.mesh.updateVersion();
      this.draw();
    }

    // Show a light's map behind the scene, `gain` times as bright, or nothing.
    setBackdrop(map, worldToMap, gain) {
      if (this.backdrop?.map !== map) {
        this.backdrop?.texture.dispose();
        this.backdrop = map ? { map, texture: backdrop(map) } : null;
        this.scene.background = this.backdrop?.texture ?? null;
      }
      if (map) {
        const [a, b, c, d, e, f, g, h, i] = worldToMap;
        // three.js reads maps with y up and the left edge at -x; its rotation goes from the map to the world.
        const turn = new Matrix4().set(a, b, c, 0, g, h, i, 0, -d, -e, -f, 0, 0, 0, 0, 1).transpose();
        this.scene.backgroundRotation.setFromRotationMatrix(turn);
        this.scene.backgroundIntensity = gain;
      }
      this.draw();
    }

    // The first view: a test photograph's if there are any, else one that shows the whole scene.
    homePose() {
      const first = this.views.find((view) => view.split === "test") ?? this.views[0];
      if (first) return { position: first.position, quaternion: first.quaternion, focus: this.focus ?? this.bounds.middle };
      const { centre, middle, reach, nearest } = this.bounds;
      const isPhoto = nearest > 0; // all of it lies ahead of a camera at the origin
      const target = isPhoto ? new Vector3(0, 0, centre.z) : middle;
      const ahead = new Vector3().crossVectors(this.rig.up, new Vector3(1, 0, 0));
      if (ahead.lengthSq() < 0.1) ahead.set(0, 0, 1);
      const back = ahead.normalize().negate();
      const from = isPhoto ? new Vector3() : middle.clone().addScaledVector(back, reach * 2.4).addScaledVector(this.rig.up, reach * 0.5);
      return { from, target, fov: isPhoto ? this.fovOfPhoto() : DEFAULT_FOV };
    }

    // The vertical field of view that holds all that a camera at the origin saw, in degrees.
    fovOfPhoto() {
      const [across, up] = this.bounds.slopes;
      const half = Math.max(up, across / this.camera.aspect);
      return Math.min(100, 2 * Math.atan(half) * 180 / Math.PI);
    }

    home(glide = true) {
      this.stopFilm();
      this.leavePhoto();
      const pose = this.homePose();
      this.rig.setMode("orbit");
      if (pose.from) {
        this.rig.lookFrom(pose.from, pose.target);
        this.setFov(pose.fov ?? DEFAULT_FOV);
      } else {
        const first = this.views.find((view) => view.split === "test") ?? this.views[0];
        const arrive = () => this.rig.adopt(pose, pose.focus);
        this.setFov(this.fovOf(first));
        if (glide) this.rig.fly(pose, this.camera.fov, arrive);
        else arrive();
      }
      this.draw();
    }

    setFov(fov) {
      this.camera.fov = fov;
      this.camera.updateProjectionMatrix();
    }

    // The vertical field of view at which a photograph fits into the canvas with some room, in degrees.
    fovOf(view) {
      const { clientWidth: width, clientHeight: height } = this.element;
      const scale = Math.min(width / view.width, height / view.height) / ROOM;
      return 2 * Math.atan(height / (2 * view.fy * scale)) * 180 / Math.PI;
    }

    // Where the photograph lies on the canvas, in CSS pixels.
    frameOf(view) {
      const { clientWidth: width, clientHeight: height } = this.element;
      const scale = Math.min(width / view.width, height / view.height) / ROOM;
      return {
        left: width / 2 - view.cx * scale, top: height / 2 - view.cy * scale,
        width: view.width * scale, height: view.height * scale,
      };
    }

    showPhoto(index) {
      this.stopFilm();
      this.leavePhoto();
      const view = this.views[index];
      this.rig.fly(view, this.fovOf(view), () => {
        this.rig.adopt(view, this.focus ?? this.bounds?.middle);
        this.photo = index;
        this.onPhoto(view, this.frameOf(view));
      });
    }

    leavePhoto() {
      if (this.photo < 0) return;
      this.photo = -1;
      this.onPhoto(null);
    }

    moved() {
      this.stopFilm();
      this.leavePhoto();
    }

    // The film's poses: the run's own path, else once around the scene at the height of its cameras.
    filmPoses() {
      if (this.path.length > 1) return this.path;
      const target = this.focus ?? this.bounds.middle;
      const offset = this.camera.position.clone().sub(target);
      const height = offset.dot(this.rig.up);
      const level = offset.addScaledVector(this.rig.up, -height);
      return Array.from({ length: 120 }, (_, index) => {
        const turn = new Quaternion().setFromAxisAngle(this.rig.up, index / 120 * 2 * Math.PI);
        const position = level.clone().applyQuaternion(turn).addScaledVector(this.rig.up, height).add(target);
        return { position, quaternion: facing(target.clone().sub(position).normalize(), this.rig.up) };
      });
    }

    toggleFilm() {
      if (this.film) return this.stopFilm();
      if (!this.mesh) return;
      this.leavePhoto();
      this.rig.flight = null;
      this.film = { poses: this.filmPoses(), passed: 0 };
      this.onFilm(true);
      this.draw();
    }

    stopFilm() {
      if (!this.film) return;
      this.film = null;
      this.rig.adopt({ position: this.camera.position.clone(), quaternion: this.camera.quaternion.clone() }, this.focus ?? this.bounds.middle);
      this.onFilm(false);
    }

    playFilm(dt) {
      const { poses } = this.film;
      this.film.passed = (this.film.passed + dt / FILM_S) % 1;
      const place = this.film.passed * poses.length;
      const index = Math.floor(place), here = poses[index], there = poses[(index + 1) % poses.length];
      // A path that does not end where it began jumps back instead of flying across the scene.
      const isJump = index === poses.length - 1 && here.position.distanceTo(there.position) > this.bounds.reach * 0.5;
      const t = isJump ? 0 : place - index;
      this.camera.position.lerpVectors(here.position, there.position, t);
      this.camera.quaternion.slerpQuaternions(here.quaternion, there.quaternion, t);
    }

    resize() {
      const { clientWidth: width, clientHeight: height } = this.element;
      if (!width || !height) return;
      this.renderer.setSize(width, height, false);
      this.camera.aspect = width / height;
      this.camera.updateProjectionMatrix();
      if (this.photo >= 0) {
        const view = this.views[this.photo];
        this.setFov(this.fovOf(view));
        this.onPhoto(view, this.frameOf(view));
      }
      this.draw();
    }

    // Ask for one more frame; frames come only while something changes.
    draw() {
      if (this.asked) return;
      this.asked = true;
      requestAnimationFrame((now) => this.frame(now));
    }

    frame(now) {
      this.asked = false;
      const passed = Math.min(1, (now - (this.last ?? now)) / 1000);
      this.last = now;
      if (this.film) this.playFilm(passed);
      // Flights keep to the clock however slow the drawing; a held key does not leap.
      const isMoving = this.rig.update(this.rig.flight ? passed : Math.min(0.1, passed)) || this.film;
      const hasMore = this.beforeFrame();
      this.renderer.render(this.scene, this.camera);
      if (this.waiting) this.checkReady();
      if (isMoving || hasMore) this.draw();
      else this.last = undefined;
    }

    // Ready is: drawn once with the order of this very view.
    checkReady() {
      const { activeSplats, sorting, sortDirty } = this.spark;
      if (!activeSplats || sorting || sortDirty || this.rig.flight) return void setTimeout(() => this.draw(), 30);
      this.waiting = false;
      requestAnimationFrame(() => this.onReady());
    }
  }

  Object.assign(fovea, { SplatView, bounds, bytesOf, openMesh });
})();
