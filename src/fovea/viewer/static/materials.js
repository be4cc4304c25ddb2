// What the Gaussians of a scene are made of, from a PLY's columns or from the packed bytes of an exported page.
//
// Activated values, one row a Gaussian: normal[3] (unit, world), albedo[3] (linear), roughness, metallic, and
// transfer[16]: harmonics of visibility times clamped cosine over pi; where a file has none, those of the open cosine.
"use strict";
(() => {
  const { basis, toLinear } = fovea.radiance;
  const COSINE = [1, 2 / 3, 2 / 3, 2 / 3, 1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4];
  const SIZES = { char: 1, uchar: 1, int8: 1, uint8: 1, short: 2, ushort: 2, int16: 2, uint16: 2, int: 4, uint: 4, int32: 4, uint32: 4, float: 4, float32: 4, double: 8, float64: 8 };
  const MAGIC = "FOVM";

  function sigmoid(value) {
    return 1 / (1 + Math.exp(-value));
  }

  function tables(count) {
    return {
      count, normal: new Float32Array(3 * count), albedo: new Float32Array(3 * count), roughness: new Float32Array(count),
      metallic: new Float32Array(count), transfer: new Float32Array(16 * count), isShadowed: true,
    };
  }

  // Names, byte offsets and types of the vertices' columns, and where the rows start; null for other files.
  function header(bytes) {
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, 65536));
    const end = /\nend_header[ \t]*\r?\n/.exec(text);
    if (!text.startsWith("ply") || !end || !text.includes("format binary_little_endian")) return null;
    const columns = new Map();
    let count = 0, pitch = 0, isVertex = false;
    for (const line of text.slice(0, end.index).split(/\r?\n/)) {
      const [word, kind, name] = line.split(/\s+/);
      if (word === "element") {
        if (!isVertex && kind !== "vertex") return null;
        if (isVertex) break;
        isVertex = true;
        count = Number(name);
      } else if (word === "property") {
        columns.set(name, { offset: pitch, kind });
        pitch += SIZES[kind];
      }
    }
    return { columns, count, pitch, start: end.index + end[0].length };
  }

  // The materials in a PLY as scene/ply.py writes it, or null where it has none.
  function fromPly(bytes) {
    const found = header(bytes);
    if (!found || ["normal_0", "albedo_0", "roughness", "metallic"].some((name) => !found.columns.has(name))) return null;
    const { columns, count, pitch, start } = found;
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, count * pitch);
    const made = tables(count);
    const fill = (target, names, change) => names.forEach((name, part) => {
      const { offset, kind } = columns.get(name);
      const isDouble = SIZES[kind] === 8;
      for (let i = 0; i < count; i++) {
        const at = i * pitch + offset;
        target[names.length * i + part] = change(isDouble ? view.getFloat64(at, true) : view.getFloat32(at, true));
      }
    });
    const numbered = (name, size) => Array.from({ length: size }, (_, i) => `${name}_${i}`);
    fill(made.normal, numbered("normal", 3), Number);
    fill(made.albedo, numbered("albedo", 3), sigmoid);
    fill(made.roughness, ["roughness"], sigmoid);
    fill(made.metallic, ["metallic"], sigmoid);
    made.isShadowed = columns.has("transfer_15");
    if (made.isShadowed) fill(made.transfer, numbered("transfer", 16), Number);
    return finished(made);
  }

  // The materials that viewer/materials.py packs: a head of four words, 16 scales, then planes of bytes.
  function fromPacked(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (new TextDecoder().decode(bytes.subarray(0, 4)) !== MAGIC || view.getUint32(4, true) !== 1) return null;
    const count = view.getUint32(8, true);
    const made = tables(count);
    made.isShadowed = view.getUint32(12, true) === 1;
    let place = 16 + 64;
    const plane = (size, change) => {
      for (let i = 0; i < size; i++) change(i, bytes[place + i]);
      place += size;
    };
    const signed = (byte) => (byte << 24 >> 24) / 127;
    plane(3 * count, (i, byte) => { made.normal[i] = signed(byte); });
    plane(3 * count, (i, byte) => { made.albedo[i] = toLinear(byte / 255); });
    plane(count, (i, byte) => { made.roughness[i] = byte / 255; });
    plane(count, (i, byte) => { made.metallic[i] = byte / 255; });
    if (made.isShadowed) {
      const scales = Array.from({ length: 16 }, (_, k) => view.getFloat32(16 + 4 * k, true));
      plane(16 * count, (i, byte) => { made.transfer[i] = signed(byte) * scales[i % 16]; });
    }
    return finished(made);
  }

  // Unit normals, and the transfer of a surface that nothing shadows where none is known.
  function finished(made) {
    const { count, normal, transfer, isShadowed } = made;
    const values = new Float64Array(16);
    for (let i = 0; i < count; i++) {
      const length = Math.hypot(normal[3 * i], normal[3 * i + 1], normal[3 * i + 2]) || 1;
      for (let c = 0; c < 3; c++) normal[3 * i + c] /= length;
      if (isShadowed) continue;
      basis(normal[3 * i], normal[3 * i + 1], normal[3 * i + 2], values);
      for (let k = 0; k < 9; k++) transfer[16 * i + k] = COSINE[k] * values[k];
    }
    return made;
  }

  Object.assign(fovea, { materials: { fromPly, fromPacked } });
})();
