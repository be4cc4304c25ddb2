// Colours of Gaussians under a light, as 8-bit sRGB: diffuse light through each one's transfer, mirrored light through
// the split sum. Arrays are flat, three floats a Gaussian; directions are in the world unless said otherwise.
//
// diffuse  = (1 - metallic) albedo sum_k L_k T_k
// mirrored = (F0 A + B) prefiltered(reflection, roughness) open(reflection), with F0 = 0.04 (1 - metallic) + albedo metallic
// What is shadowed sees, instead of the light, the mean of what the scene's surfaces send back (`bounce`).
"use strict";
(() => {
  const { look } = fovea.prefilter;
  const { basis, toSrgb } = fovea.radiance;
  const OPEN = 0.28209479177387814; // transfer_0 of a surface that nothing shadows
  const STEPS = 8191;
  const ENCODED = Uint8Array.from({ length: STEPS + 1 }, (_, i) => Math.round(255 * toSrgb(i / STEPS)));
  const WHITE = [1, 1, 1];
  const TABLE = 32;
  const PLAIN = { roughness: 1, metallic: 0, saturation: 1, tint: WHITE };

  function unit(value) {
    return value < 0 ? 0 : value > 1 ? 1 : value;
  }

  function encode(linear) {
    return ENCODED[linear > 0 ? (linear < 1 ? (linear * STEPS + 0.5) | 0 : STEPS) : 0];
  }

  // The split sum's A and B over roughness (rows) and normal.view (columns), at the middles of their 32 steps: the GGX
  // lobe with height-correlated Smith shadowing, by 128 samples each. Source: B. Karis, "Real shading in Unreal Engine
  // 4" (2013); E. Heitz, "Understanding the masking-shadowing function" (2014).
  function splitSum() {
    const table = new Float32Array(2 * TABLE * TABLE), samples = 128;
    for (let row = 0; row < TABLE; row++) {
      const a2 = ((row + 0.5) / TABLE) ** 4;
      for (let column = 0; column < TABLE; column++) {
        const nv = (column + 0.5) / TABLE, sine = Math.sqrt(1 - nv * nv), at = 2 * (row * TABLE + column);
        for (let i = 0; i < samples; i++) {
          const part = (i + 0.5) / samples, turn = 2 * Math.PI * ((i * 0.6180339887498949) % 1);
          const nh = Math.sqrt((1 - part) / (1 + (a2 - 1) * part)), vh = Math.sqrt(1 - nh * nh) * Math.cos(turn) * sine + nh * nv;
          const nl = 2 * vh * nh - nv;
          if (nl <= 0 || vh <= 0) continue;
          const shadow = 2 * nl * vh / nh / (nl * Math.sqrt(nv * nv * (1 - a2) + a2) + nv * Math.sqrt(nl * nl * (1 - a2) + a2));
          const fresnel = (1 - vh) ** 5;
          table[at] += (1 - fresnel) * shadow / samples;
          table[at + 1] += fresnel * shadow / samples;
        }
      }
    }
    return table;
  }

  // A and B between the table's entries, into out[0..1].
  function factors(table, cos, rough, out) {
    const u = Math.min(TABLE - 1, Math.max(0, cos * TABLE - 0.5)), v = Math.min(TABLE - 1, Math.max(0, rough * TABLE - 0.5));
    const left = Math.min(TABLE - 2, Math.floor(u)), top = Math.min(TABLE - 2, Math.floor(v)), s = u - left, t = v - top;
    const i = 2 * (top * TABLE + left), j = i + 2 * TABLE;
    out[0] = (table[i] * (1 - s) + table[i + 2] * s) * (1 - t) + (table[j] * (1 - s) + table[j + 2] * s) * t;
    out[1] = (table[i + 1] * (1 - s) + table[i + 3] * s) * (1 - t) + (table[j + 1] * (1 - s) + table[j + 3] * s) * t;
  }

  class Shader {
    // `means` and `opacities` are those of the scene on the canvas, in the materials' order.
    constructor(materials, means, opacities) {
      Object.assign(this, { materials, means, opacities });
      const { count } = materials;
      this.count = count;
      this.albedo = new Float32Array(3 * count);
      this.roughness = new Float32Array(count);
      this.metallic = new Float32Array(count);
      this.received = new Float32Array(3 * count); // sum L_k T_k, with the bounce
      this.bounce = [0, 0, 0];
      this.table = splitSum();
      this.hasBounce = true;
      this.setMaterial({});
    }

    // Change all materials alike: roughness times, metallic plus, albedo's saturation times and tint times (linear).
    setMaterial(change) {
      const { roughness, metallic, saturation, tint } = { ...PLAIN, ...change };
      const from = this.materials;
      for (let i = 0; i < this.count; i++) {
        this.metallic[i] = unit(from.metallic[i] + metallic);
        this.roughness[i] = unit(from.roughness[i] * roughness);
        const grey = 0.2126 * from.albedo[3 * i] + 0.7152 * from.albedo[3 * i + 1] + 0.0722 * from.albedo[3 * i + 2];
        for (let c = 0; c < 3; c++) {
          this.albedo[3 * i + c] = unit((grey + (from.albedo[3 * i + c] - grey) * saturation) * tint[c]);
        }
      }
      this.reflectBack();
    }

    // `harmonics`: 16 x 3, in the world; `chain`: prefiltered, in the map's frame; `worldToMap`: between the two.
    setLight({ harmonics, chain, worldToMap, gain = 1 }) {
      Object.assign(this, { chain, worldToMap, gain });
      const { transfer } = this.materials, { received } = this;
      for (let i = 0; i < this.count; i++) {
        let r = 0, g = 0, b = 0;
        for (let k = 0, t = 16 * i, l = 0; k < 16; k++, t++, l += 3) {
          const part = transfer[t];
          r += part * harmonics[l];
          g += part * harmonics[l + 1];
          b += part * harmonics[l + 2];
        }
        received[3 * i] = r > 0 ? r : 0;
        received[3 * i + 1] = g > 0 ? g : 0;
        received[3 * i + 2] = b > 0 ? b : 0;
      }
      this.reflectBack();
    }

    // The mean radiance that the scene's surfaces send back.
    reflectBack() {
      const sum = [0, 0, 0];
      let weights = 0;
      for (let i = 0; this.hasBounce && i < this.count; i++) {
        const weight = this.opacities[i];
        weights += weight;
        const part = weight * (1 - this.metallic[i]);
        for (let c = 0; c < 3; c++) sum[c] += part * this.albedo[3 * i + c] * this.received[3 * i + c];
      }
      this.bounce = sum.map((value) => (weights ? value / weights : 0));
    }

    // Colours of Gaussians `from` to `to` seen from `eye`, as RGBA bytes into `bytes`.
    shade(bytes, eye, from = 0, to = this.count) {
      const { means, opacities, albedo, metallic, received, roughness, chain, gain, bounce, table } = this;
      const { normal, transfer } = this.materials;
      const m = this.worldToMap, mirrored = [0, 0, 0], fresnel = [0, 0];
      for (let i = from; i < to; i++) {
        const j = 3 * i, nx = normal[j], ny = normal[j + 1], nz = normal[j + 2];
        let vx = eye[0] - means[j], vy = eye[1] - means[j + 1], vz = eye[2] - means[j + 2];
        const far = 1 / Math.sqrt(vx * vx + vy * vy + vz * vz);
        vx *= far; vy *= far; vz *= far;
        const facing = nx * vx + ny * vy + nz * vz, cos = Math.abs(facing), rough = roughness[i], metal = metallic[i];
        const rx = 2 * facing * nx - vx, ry = 2 * facing * ny - vy, rz = 2 * facing * nz - vz;
        look(chain, m[0] * rx + m[1] * ry + m[2] * rz, m[3] * rx + m[4] * ry + m[5] * rz, m[6] * rx + m[7] * ry + m[8] * rz, rough, mirrored);
        const seen = openness(transfer, 16 * i, nx * rx + ny * ry + nz * rz, rx, ry, rz);
        const shut = 1 - unit(transfer[16 * i] / OPEN);
        factors(table, cos, rough, fresnel);
        for (let c = 0; c < 3; c++) {
          const light = seen * mirrored[c] + (1 - seen) * bounce[c];
          const diffuse = (1 - metal) * albedo[j + c] * (received[j + c] + shut * bounce[c]);
          const f0 = 0.04 * (1 - metal) + metal * albedo[j + c];
          const sent = diffuse + (f0 * fresnel[0] + fresnel[1]) * light;
          bytes[4 * i + c] = encode(gain * sent);
        }
        bytes[4 * i + 3] = (255 * opacities[i] + 0.5) | 0;
      }
    }

    // One of the materials as colours.
    paint(bytes, name) {
      const { normal } = this.materials;
      for (let i = 0; i < this.count; i++) {
        for (let c = 0; c < 3; c++) {
          const j = 3 * i + c;
          if (name === "albedo") bytes[4 * i + c] = encode(this.albedo[j]);
          else if (name === "normal") bytes[4 * i + c] = 127.5 * (normal[j] + 1);
          else bytes[4 * i + c] = 255 * (name === "roughness" ? this.roughness[i] : this.metallic[i]);
        }
        bytes[4 * i + 3] = (255 * this.opacities[i] + 0.5) | 0;
      }
    }
  }

  // How much of the light around a reflected direction reaches a Gaussian: its transfer there, smoothed, over the
  // smoothed transfer of a surface that nothing shadows.
  const SMOOTH = [1, 0.75, 0.42, 0.18];
  const BAND = [1 / (4 * Math.PI), 2 / (4 * Math.PI), 5 / 4 / (4 * Math.PI)]; // (2l + 1) / 4 pi times the cosine's band
  const values = new Float64Array(16);
  function openness(transfer, at, cos, x, y, z) {
    const free = BAND[0] + BAND[1] * SMOOTH[1] * cos + BAND[2] * SMOOTH[2] * (1.5 * cos * cos - 0.5);
    basis(x, y, z, values);
    let found = values[0] * transfer[at];
    for (let k = 1; k < 16; k++) found += SMOOTH[k < 4 ? 1 : k < 9 ? 2 : 3] * values[k] * transfer[at + k];
    return free > 0.02 ? unit(found / free) : unit(transfer[at] / OPEN);
  }

  Object.assign(fovea, { Shader, PLAIN });
})();
