// Light as a picture: reading .hdr and .exr, latitude-longitude maps, and their spherical harmonics.
//
// A map is { width, height, pixels }: linear radiance, three floats a texel, rows from the top. In the map's own frame
// z is up: row 0 looks to +z, the centre column to +x, and columns to the right turn towards -y.
"use strict";
(() => {
  const { EXRLoader, FloatType } = foveaVendor;
  const { say } = fovea;
  const MOST_PX = 1 << 27;

  // The map in a file's bytes. Throws an error whose message is a sentence for people.
  function read(bytes, name = "") {
    const isExr = bytes[0] === 0x76 && bytes[1] === 0x2f && bytes[2] === 0x31 && bytes[3] === 0x01;
    const isHdr = bytes[0] === 0x23 && bytes[1] === 0x3f;
    if (!isExr && !isHdr) throw new Error(`${name}: ${say("light_format")}`);
    const map = isExr ? readExr(bytes) : readHdr(bytes, name);
    if (map.width !== 2 * map.height) throw new Error(`${name}: ${say("light_shape")} ${map.width} × ${map.height}`);
    for (let i = 0; i < map.pixels.length; i++) if (!(map.pixels[i] >= 0 && map.pixels[i] < 1e30)) map.pixels[i] = 0;
    return map;
  }

  function readExr(bytes) {
    const loader = new EXRLoader().setDataType(FloatType);
    const { width, height, data } = loader.parse(bytes.slice().buffer);
    const channels = data.length / (width * height);
    const pixels = new Float32Array(3 * width * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = channels * ((height - 1 - y) * width + x), to = 3 * (y * width + x); // the loader's rows go up
        for (let c = 0; c < 3; c++) pixels[to + c] = data[from + (channels >= 3 ? c : 0)];
      }
    }
    return { width, height, pixels };
  }

  // Radiance RGBE: plain or with run lengths a scanline.
  // Source: G. Ward, "Real pixels", Graphics Gems II (1991), and the file format's description.
  function readHdr(bytes, name) {
    const damaged = () => new Error(`${name}: ${say("light_damaged")}`);
    const head = new TextDecoder("latin1").decode(bytes.subarray(0, 8192));
    const found = /\n\n-Y (\d+) \+X (\d+)\n/.exec(head.replaceAll("\r", ""));
    if (!found || /FORMAT=32-bit_rle_xyze/.test(head)) throw new Error(`${name}: ${say("light_format")}`);
    const height = Number(found[1]), width = Number(found[2]);
    if (!width || !height || width * height > MOST_PX) throw damaged();
    let place = head.indexOf("\n", head.indexOf(`-Y ${found[1]}`)) + 1;
    const rgbe = new Uint8Array(4 * width), pixels = new Float32Array(3 * width * height);
    for (let y = 0; y < height; y++) {
      const hasRuns = width >= 8 && width < 32768 && bytes[place] === 2 && bytes[place + 1] === 2 && bytes[place + 2] === width >> 8 && bytes[place + 3] === (width & 255);
      place = hasRuns ? readRuns(bytes, place + 4, rgbe, width) : readPlain(bytes, place, rgbe);
      if (place < 0 || place > bytes.length) throw damaged();
      for (let x = 0; x < width; x++) {
        const exponent = rgbe[4 * x + 3];
        const scale = exponent ? 2 ** (exponent - 136) : 0;
        for (let c = 0; c < 3; c++) pixels[3 * (y * width + x) + c] = rgbe[4 * x + c] * scale;
      }
    }
    return { width, height, pixels };
  }

  function readPlain(bytes, place, rgbe) {
    rgbe.set(bytes.subarray(place, place + rgbe.length));
    return place + rgbe.length;
  }

  // One scanline, channel after channel; gives where the next one starts, or -1.
  function readRuns(bytes, place, rgbe, width) {
    for (let c = 0; c < 4; c++) {
      for (let x = 0; x < width;) {
        const code = bytes[place++];
        const isRun = code > 128, count = isRun ? code - 128 : code;
        if (!count || x + count > width) return -1;
        for (let i = 0; i < count; i++) rgbe[4 * x++ + c] = isRun ? bytes[place] : bytes[place + i];
        place += isRun ? 1 : count;
      }
    }
    return place;
  }

  // The same light in fewer texels: each the mean over the solid angle that it covers.
  function shrink(map, width) {
    if (map.width <= width) return map;
    const height = width / 2, pixels = new Float32Array(3 * width * height), weights = new Float32Array(width * height);
    for (let y = 0; y < map.height; y++) {
      const row = Math.floor((y + 0.5) / map.height * height);
      const weight = Math.cos(y / map.height * Math.PI) - Math.cos((y + 1) / map.height * Math.PI);
      for (let x = 0; x < map.width; x++) {
        const from = 3 * (y * map.width + x), to = row * width + Math.floor((x + 0.5) / map.width * width);
        weights[to] += weight;
        for (let c = 0; c < 3; c++) pixels[3 * to + c] += weight * map.pixels[from + c];
      }
    }
    for (let i = 0; i < pixels.length; i++) pixels[i] /= weights[Math.floor(i / 3)];
    return { width, height, pixels };
  }

  // The real spherical harmonics to degree 3 at a unit direction, as scene/harmonics.py orders and signs them.
  function basis(x, y, z, out) {
    const xx = x * x, yy = y * y, zz = z * z;
    out[0] = 0.28209479177387814;
    out[1] = -0.4886025119029199 * y;
    out[2] = 0.4886025119029199 * z;
    out[3] = -0.4886025119029199 * x;
    out[4] = 1.0925484305920792 * x * y;
    out[5] = -1.0925484305920792 * y * z;
    out[6] = 0.31539156525252005 * (2 * zz - xx - yy);
    out[7] = -1.0925484305920792 * x * z;
    out[8] = 0.5462742152960396 * (xx - yy);
    out[9] = -0.5900435899266435 * y * (3 * xx - yy);
    out[10] = 2.890611442640554 * x * y * z;
    out[11] = -0.4570457994644658 * y * (4 * zz - xx - yy);
    out[12] = 0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy);
    out[13] = -0.4570457994644658 * x * (4 * zz - xx - yy);
    out[14] = 1.445305721320277 * z * (xx - yy);
    out[15] = -0.5900435899266435 * x * (xx - 3 * yy);
    return out;
  }

  // The 16 x 3 coefficients of a map in the world; `worldToMap` is a rotation, row by row.
  function harmonics(map, worldToMap) {
    const { width, height, pixels } = map;
    const m = worldToMap, coefficients = new Float64Array(48), values = new Float64Array(16);
    for (let y = 0; y < height; y++) {
      const top = Math.cos(y / height * Math.PI), bottom = Math.cos((y + 1) / height * Math.PI);
      const solidAngle = 2 * Math.PI / width * (top - bottom);
      const up = Math.cos((y + 0.5) / height * Math.PI), level = Math.sin((y + 0.5) / height * Math.PI);
      for (let x = 0; x < width; x++) {
        const azimuth = 2 * Math.PI * (0.5 - (x + 0.5) / width);
        const a = level * Math.cos(azimuth), b = level * Math.sin(azimuth);
        basis(m[0] * a + m[3] * b + m[6] * up, m[1] * a + m[4] * b + m[7] * up, m[2] * a + m[5] * b + m[8] * up, values);
        const from = 3 * (y * width + x);
        for (let k = 0; k < 16; k++) {
          const weight = values[k] * solidAngle;
          coefficients[3 * k] += weight * pixels[from];
          coefficients[3 * k + 1] += weight * pixels[from + 1];
          coefficients[3 * k + 2] += weight * pixels[from + 2];
        }
      }
    }
    return coefficients;
  }

  // From the world to the frame of a map, row by row, with the light turned by `yaw` about up (radians, counterclockwise
  // seen from above). `up` is "z"; "y", where the map's centre is at -z; or a direction, which the least rotation takes
  // to +z. So do the films: relight/light/environment.py.
  function worldToMap(up, yaw) {
    const [a, b, z] = up === "y" ? [[0, 0, -1], [-1, 0, 0], [0, 1, 0]] : leastRotation(up === "z" ? [0, 0, 1] : up);
    const c = Math.cos(yaw), s = Math.sin(yaw);
    return [...a.map((value, i) => c * value + s * b[i]), ...b.map((value, i) => c * value - s * a[i]), ...z];
  }

  function leastRotation(up) {
    const length = Math.hypot(...up);
    const [x, y, z] = up.map((value) => value / length), k = 1 / (1 + z);
    if (z < -1 + 1e-9) return [[1, 0, 0], [0, -1, 0], [0, 0, -1]];
    return [[1 - k * x * x, -k * x * y, -x], [-k * x * y, 1 - k * y * y, -y], [x, y, z]];
  }

  const toLinear = (srgb) => (srgb <= 0.04045 ? srgb / 12.92 : ((srgb + 0.055) / 1.055) ** 2.4);
  const toSrgb = (linear) => (linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055);

  Object.assign(fovea, { radiance: { read, shrink, basis, harmonics, worldToMap, toLinear, toSrgb } });
})();
