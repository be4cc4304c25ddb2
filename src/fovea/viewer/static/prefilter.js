// What a light looks like in surfaces of a given roughness: octahedral maps, blurred by the GGX lobe.
//
// Level i holds the mirror image for roughness i / 5, seen from straight above (normal = view = reflection). A level is
// a square with a rim of one texel that repeats what lies across its edge, so that looking up needs no wrapping.
// Source: B. Karis, "Real shading in Unreal Engine 4" (2013); samples read blurred maps as in J. Krivanek and
// M. Colbert, "Real-time shading with filtered importance sampling" (2008).
"use strict";
(() => {
  const { shrink } = fovea.radiance;
  const SIZES = [128, 64, 32, 32, 16, 16];
  const SAMPLES = 64;
  const SOURCE_PX = 256;
  const STARTS = SIZES.reduce((starts, size) => [...starts, starts.at(-1) + 3 * (size + 2) ** 2], [0]);

  // The direction at a point of the octahedral square [-1, 1]^2; a little beyond it, what lies across the edge.
  function direction(u, v) {
    if (Math.abs(u) > 1) { u = Math.sign(u) * 2 - u; v = -v; }
    if (Math.abs(v) > 1) { v = Math.sign(v) * 2 - v; u = -u; }
    const z = 1 - Math.abs(u) - Math.abs(v);
    const x = z >= 0 ? u : (1 - Math.abs(v)) * (u < 0 ? -1 : 1);
    const y = z >= 0 ? v : (1 - Math.abs(u)) * (v < 0 ? -1 : 1);
    const length = Math.hypot(x, y, z);
    return [x / length, y / length, z / length];
  }

  // Add `weight` times the map's radiance in a direction, between texel centres, to `sum`.
  function add(map, x, y, z, weight, sum) {
    const { width, height, pixels } = map;
    const column = (0.5 - Math.atan2(y, x) / (2 * Math.PI)) * width - 0.5;
    const row = Math.min(height - 1, Math.max(0, Math.acos(Math.min(1, Math.max(-1, z))) / Math.PI * height - 0.5));
    const left = Math.floor(column), top = Math.floor(row), s = column - left, t = row - top;
    const i = 3 * (top * width + (left + width) % width), j = 3 * (top * width + (left + 1) % width);
    const below = top + 1 < height ? 3 * width : 0;
    const p = weight * (1 - s) * (1 - t), q = weight * s * (1 - t), r = weight * (1 - s) * t, w = weight * s * t;
    for (let c = 0; c < 3; c++) {
      sum[c] += p * pixels[i + c] + q * pixels[j + c] + r * pixels[i + below + c] + w * pixels[j + below + c];
    }
  }

  // The lobe's directions about +z, with how much each counts and which of the blurred maps it reads.
  function lobe(roughness, count) {
    if (!roughness) return [[0, 0, 1, 1, 0]];
    const a2 = roughness ** 4, samples = [];
    for (let i = 0; i < SAMPLES; i++) {
      const part = (i + 0.5) / SAMPLES, turn = 2 * Math.PI * ((i * 0.6180339887498949) % 1);
      const cos2 = (1 - part) / (1 + (a2 - 1) * part), cos = Math.sqrt(cos2), sin = Math.sqrt(1 - cos2);
      const up = 2 * cos2 - 1, level = 2 * cos * sin;
      if (up <= 0) continue;
      const density = a2 / (Math.PI * (cos2 * (a2 - 1) + 1) ** 2) / 4;
      const texels = SOURCE_PX ** 2 / 2 / (4 * Math.PI) / (SAMPLES * density);
      const blur = Math.min(count - 1, Math.max(0, Math.round(0.5 * Math.log2(texels) + 0.5)));
      samples.push([level * Math.cos(turn), level * Math.sin(turn), up, up, blur]);
    }
    const total = samples.reduce((sum, sample) => sum + sample[3], 0);
    for (const sample of samples) sample[3] /= total;
    return samples;
  }

  // All levels of a map, in one array: see STARTS and SIZES.
  function prefilter(map) {
    const blurred = [shrink(map, SOURCE_PX)];
    while (blurred.at(-1).width > 8) blurred.push(shrink(blurred.at(-1), blurred.at(-1).width / 2));
    const chain = new Float32Array(STARTS.at(-1)), sum = [0, 0, 0];
    SIZES.forEach((size, level) => {
      const samples = lobe(level / (SIZES.length - 1), blurred.length);
      for (let i = 0; i < (size + 2) ** 2; i++) {
        const u = (i % (size + 2) - 0.5) / size * 2 - 1, v = (Math.floor(i / (size + 2)) - 0.5) / size * 2 - 1;
        const [x, y, z] = direction(u, v);
        // Two directions at right angles to it; Duff et al., "Building an orthonormal basis, revisited" (2017).
        const sign = z < 0 ? -1 : 1, a = -1 / (sign + z), b = x * y * a;
        const t = [1 + sign * x * x * a, sign * b, -sign * x], r = [b, sign + y * y * a, -y];
        sum.fill(0);
        for (const [p, q, n, weight, blur] of samples) {
          add(blurred[blur], t[0] * p + r[0] * q + x * n, t[1] * p + r[1] * q + y * n, t[2] * p + r[2] * q + z * n, weight, sum);
        }
        chain.set(sum, STARTS[level] + 3 * i);
      }
    });
    return chain;
  }

  // The light mirrored in a direction of the map's frame by a surface of that roughness, into out[0..2].
  function look(chain, x, y, z, roughness, out) {
    const scale = 1 / (Math.abs(x) + Math.abs(y) + Math.abs(z));
    let u = x * scale, v = y * scale;
    if (z < 0) {
      const fold = u;
      u = (1 - Math.abs(v)) * (fold < 0 ? -1 : 1);
      v = (1 - Math.abs(fold)) * (v < 0 ? -1 : 1);
    }
    const place = roughness * (SIZES.length - 1), low = Math.min(SIZES.length - 2, Math.floor(place)), part = place - low;
    out[0] = out[1] = out[2] = 0;
    bilinear(chain, low, u, v, 1 - part, out);
    if (part > 0) bilinear(chain, low + 1, u, v, part, out);
    return out;
  }

  function bilinear(chain, level, u, v, weight, out) {
    const size = SIZES[level], pitch = 3 * (size + 2);
    const column = (u + 1) * 0.5 * size + 0.5, row = (v + 1) * 0.5 * size + 0.5;
    const left = Math.min(size, Math.floor(column)), top = Math.min(size, Math.floor(row));
    const s = column - left, t = row - top, at = STARTS[level] + top * pitch + 3 * left;
    const a = weight * (1 - s) * (1 - t), b = weight * s * (1 - t), c = weight * (1 - s) * t, d = weight * s * t;
    for (let k = 0; k < 3; k++) {
      const i = at + k;
      out[k] += a * chain[i] + b * chain[i + 3] + c * chain[i + pitch] + d * chain[i + pitch + 3];
    }
  }

  Object.assign(fovea, { prefilter: { prefilter, look } });
})();
