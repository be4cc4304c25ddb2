// The camera's rig: what pointer, keys and touch do to it. It knows nothing of Gaussians or photographs.
//
// The world stays as the file stores it; only `up` says which way is up. Cameras here look along their -z with +y up
// (three.js); those of our files look along +z with +y down (OpenCV), see `fromOpenCV`.
"use strict";
(() => {
  const { Matrix4, Quaternion, Vector3 } = foveaVendor;
  const STEEPEST = Math.PI / 2 - 0.01;
  const DEFAULT_FOV = 50;

  // The pose of a camera with OpenCV's axes: `rotation` camera to world, row by row.
  function fromOpenCV({ position, rotation }) {
    const [[a, b, c], [d, e, f], [g, h, i]] = rotation;
    const m = new Matrix4().set(a, -b, -c, 0, d, -e, -f, 0, g, -h, -i, 0, 0, 0, 0, 1);
    return { position: new Vector3(...position), quaternion: new Quaternion().setFromRotationMatrix(m) };
  }

  // How a camera is turned that looks along `direction`, with `up` above.
  function facing(direction, up) {
    const right = new Vector3().crossVectors(direction, up).normalize();
    const above = new Vector3().crossVectors(right, direction);
    return new Quaternion().setFromRotationMatrix(new Matrix4().makeBasis(right, above, direction.clone().negate()));
  }

  class Rig {
    constructor(camera, element, changed) {
      Object.assign(this, { camera, element, changed });
      this.mode = "orbit";
      this.target = new Vector3();
      this.distance = 3;
      this.reach = 3; // a length typical of the scene, for speeds
      this.speed = 1; // of walking, times what suits the scene
      this.yaw = 0;
      this.pitch = 0;
      this.exact = null; // a pose that yaw and pitch cannot say, held until somebody moves
      this.keys = new Set();
      this.drift = { yaw: 0, pitch: 0 };
      this.flight = null;
      this.onMove = () => {};
      this.onTurnLight = null; // takes Shift and drag, in radians, when somebody listens
      this.setUp(new Vector3(0, -1, 0));
      this.listen();
    }

    setUp(up) {
      this.up = up.clone().normalize();
      const aside = Math.abs(this.up.z) < 0.9 ? new Vector3(0, 0, 1) : new Vector3(0, 1, 0);
      this.north = aside.addScaledVector(this.up, -aside.dot(this.up)).normalize();
      this.east = new Vector3().crossVectors(this.north, this.up);
    }

    direction() {
      const level = Math.cos(this.pitch);
      return new Vector3()
        .addScaledVector(this.north, level * Math.cos(this.yaw))
        .addScaledVector(this.east, level * Math.sin(this.yaw))
        .addScaledVector(this.up, Math.sin(this.pitch));
    }

    aim(direction) {
      const d = direction.clone().normalize();
      this.pitch = Math.max(-STEEPEST, Math.min(STEEPEST, Math.asin(Math.max(-1, Math.min(1, d.dot(this.up))))));
      this.yaw = Math.atan2(d.dot(this.east), d.dot(this.north));
    }

    // Put the camera where yaw, pitch and target say.
    settle() {
      const direction = this.direction();
      if (this.mode === "orbit") this.camera.position.copy(this.target).addScaledVector(direction, -this.distance);
      else this.target.copy(this.camera.position).addScaledVector(direction, this.distance);
      this.camera.quaternion.copy(facing(direction, this.up));
    }

    // Take over a pose as it is, roll included.
    adopt({ position, quaternion }, focus = null) {
      this.camera.position.copy(position);
      this.camera.quaternion.copy(quaternion);
      const direction = new Vector3(0, 0, -1).applyQuaternion(quaternion);
      this.aim(direction);
      const along = focus ? focus.clone().sub(position).dot(direction) : this.distance;
      this.distance = along > this.reach * 0.02 ? along : this.reach;
      this.target.copy(position).addScaledVector(direction, this.distance);
      this.exact = true;
    }

    lookFrom(position, target) {
      this.target.copy(target);
      this.distance = position.distanceTo(target);
      this.aim(target.clone().sub(position));
      this.camera.position.copy(position);
      this.exact = null;
      this.settle();
    }

    setMode(mode) {
      this.mode = mode;
    }

    // Glide to a pose and field of view in some seconds, then call `done`.
    fly(pose, fov, done = () => {}, seconds = 0.8) {
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) seconds = 0;
      this.flight = {
        from: { position: this.camera.position.clone(), quaternion: this.camera.quaternion.clone(), fov: this.camera.fov },
        to: { ...pose, fov: fov ?? this.camera.fov }, passed: 0, seconds, done,
      };
      this.changed();
    }

    // Somebody took the camera: leave flights, films and photographs.
    take(cause) {
      this.flight = null;
      if (this.exact) this.exact = null;
      this.onMove(cause);
    }

    // Move on by `dt` seconds; says whether to go on.
    update(dt) {
      if (this.flight) return this.advance(dt);
      let moving = this.push(dt);
      if (Math.abs(this.drift.yaw) + Math.abs(this.drift.pitch) > 1e-4) {
        this.turn(this.drift.yaw * dt, this.drift.pitch * dt);
        const fade = Math.exp(-7 * dt);
        this.drift.yaw *= fade;
        this.drift.pitch *= fade;
        moving = true;
      }
      return moving;
    }

    advance(dt) {
      const { from, to, seconds, done } = this.flight;
      this.flight.passed += dt;
      const t = seconds > 0 ? Math.min(1, this.flight.passed / seconds) : 1;
      const eased = t * t * (3 - 2 * t);
      this.camera.position.lerpVectors(from.position, to.position, eased);
      this.camera.quaternion.slerpQuaternions(from.quaternion, to.quaternion, eased);
      this.camera.fov = from.fov + (to.fov - from.fov) * eased;
      this.camera.updateProjectionMatrix();
      if (t < 1) return true;
      this.flight = null;
      done();
      return true;
    }

    turn(yaw, pitch) {
      this.yaw += yaw;
      this.pitch = Math.max(-STEEPEST, Math.min(STEEPEST, this.pitch + pitch));
      this.settle();
    }

    shift(right, above, ahead) {
      const step = new Vector3(right, above, -ahead).applyQuaternion(this.camera.quaternion);
      this.target.add(step);
      this.camera.position.add(step);
      this.settle();
    }

    approach(factor) {
      if (this.mode === "orbit") {
        this.distance = Math.max(this.reach * 0.02, Math.min(this.reach * 60, this.distance * factor));
        this.settle();
      } else {
        this.shift(0, 0, this.reach * 0.4 * Math.log(1 / factor));
      }
    }

    push(dt) {
      const held = (...names) => names.some((name) => this.keys.has(name));
      const right = held("KeyD", "ArrowRight") - held("KeyA", "ArrowLeft");
      const ahead = held("KeyW", "ArrowUp") - held("KeyS", "ArrowDown");
      const above = held("KeyE") - held("KeyQ");
      if (!right && !ahead && !above) return false;
      const speed = this.speed * this.reach * 0.5 * (this.keys.has("ShiftLeft") || this.keys.has("ShiftRight") ? 3 : 1) * dt;
      this.shift(right * speed, above * speed, ahead * speed);
      return true;
    }

    listen() {
      const fingers = new Map();
      const view = this.element;
      view.addEventListener("contextmenu", (event) => event.preventDefault());
      view.addEventListener("pointerdown", (event) => {
        view.setPointerCapture(event.pointerId);
        fingers.set(event.pointerId, { x: event.clientX, y: event.clientY, button: event.button, time: event.timeStamp });
        this.drift.yaw = this.drift.pitch = 0;
      });
      view.addEventListener("pointermove", (event) => {
        const finger = fingers.get(event.pointerId);
        if (!finger) return;
        const dx = event.clientX - finger.x, dy = event.clientY - finger.y;
        if (!dx && !dy) return;
        const height = view.clientHeight;
        if (this.onTurnLight && event.shiftKey && finger.button === 0) {
          this.onTurnLight(dx * 4.2 / height);
          Object.assign(finger, { x: event.clientX, y: event.clientY, time: event.timeStamp });
          return;
        }
        this.take("drag");
        if (fingers.size === 2) this.pinch(fingers, event, dx, dy, height);
        else if (finger.button === 2 || event.shiftKey) this.pan(dx, dy, height);
        else this.drag(dx, dy, height, event.timeStamp - finger.time);
        Object.assign(finger, { x: event.clientX, y: event.clientY, time: event.timeStamp });
        this.changed();
      });
      for (const name of ["pointerup", "pointercancel"]) {
        view.addEventListener(name, (event) => {
          const finger = fingers.get(event.pointerId);
          if (finger && event.timeStamp - finger.time > 60) this.drift.yaw = this.drift.pitch = 0;
          fingers.delete(event.pointerId);
          this.changed();
        });
      }
      view.addEventListener("wheel", (event) => {
        event.preventDefault();
        this.take("wheel");
        const unit = event.deltaMode === 1 ? 16 : 1;
        this.approach(Math.exp(Math.max(-120, Math.min(120, event.deltaY * unit)) * 0.0016));
        this.changed();
      }, { passive: false });
    }

    drag(dx, dy, height, ms) {
      const rate = this.mode === "orbit" ? 4.2 / height : (this.camera.fov * Math.PI / 180) / height;
      const sign = this.mode === "orbit" ? 1 : -1;
      this.turn(sign * dx * rate, this.mode === "orbit" ? -dy * rate : dy * rate);
      const seconds = Math.max(ms, 8) / 1000;
      this.drift = { yaw: sign * dx * rate / seconds * 0.5, pitch: (this.mode === "orbit" ? -dy : dy) * rate / seconds * 0.5 };
    }

    pan(dx, dy, height) {
      const scale = 2 * this.distance * Math.tan(this.camera.fov * Math.PI / 360) / height;
      this.shift(-dx * scale, dy * scale, 0);
    }

    pinch(fingers, event, dx, dy, height) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const before = Math.hypot(event.clientX - dx - other.x, event.clientY - dy - other.y);
      const after = Math.hypot(event.clientX - other.x, event.clientY - other.y);
      if (before > 4 && after > 4) this.approach(before / after);
      this.pan(dx / 2, dy / 2, height);
    }
  }

  Object.assign(fovea, { Rig, facing, fromOpenCV, DEFAULT_FOV });
})();
