// What the sliders do to every Gaussian on its way to the screen, as one step of Spark's shader graph.
//
// A Gaussian fainter than `least` is left out, its axes grow by `size`, and dispersion moves its centre along a direction
// of its own, in a wave that runs through the scene.

const GLSL = `
vec3 ownDirection(float index) {
  vec3 p = fract(vec3(index) * vec3(0.1031, 0.1030, 0.0973));
  p += dot(p, p.yzx + 33.33);
  return normalize(fract((p.xxy + p.yzz) * p.zyx) - 0.5);
}`;

/** The uniforms, and a modifier for each mesh. */
export class Effects {
  /** @param {any} dyno Spark's module of that name */
  constructor(dyno) {
    this.dyno = dyno;
    this.uniforms = {
      size: dyno.dynoFloat(1), least: dyno.dynoFloat(0), amount: dyno.dynoFloat(0),
      frequency: dyno.dynoFloat(1), time: dyno.dynoFloat(0), reach: dyno.dynoFloat(1),
    };
    this.speed = 1;
  }

  /** Whether something moves by itself. */
  get isMoving() {
    return this.uniforms.amount.value > 0 && this.speed > 0;
  }

  /** @param {number} seconds */
  advance(seconds) {
    this.uniforms.time.value += seconds * this.speed;
  }

  /** A step that a mesh runs each of its Gaussians through. */
  modifier() {
    const { Dyno, Gsplat, dynoBlock } = this.dyno;
    const names = Object.keys(this.uniforms);
    const step = new Dyno({
      inTypes: { gsplat: Gsplat, ...Object.fromEntries(names.map((name) => [name, "float"])) },
      outTypes: { gsplat: Gsplat },
      globals: () => [GLSL],
      statements: (/** @type {any} */ { inputs, outputs }) => [
        `${outputs.gsplat} = ${inputs.gsplat};`,
        `${outputs.gsplat}.scales *= ${inputs.gsplat}.rgba.a < ${inputs.least} ? 0.0 : ${inputs.size};`,
        `float phase = dot(${inputs.gsplat}.center, vec3(1.0, 0.7, 0.4)) * ${inputs.frequency} * 6.2832 / ${inputs.reach};`,
        `float away = ${inputs.amount} * ${inputs.reach} * (0.5 + 0.5 * sin(phase + ${inputs.time}));`,
        `${outputs.gsplat}.center += away * ownDirection(float(${inputs.gsplat}.index));`,
      ],
    });
    return dynoBlock({ gsplat: Gsplat }, { gsplat: Gsplat }, (/** @type {any} */ { gsplat }) => (
      { gsplat: step.apply({ gsplat, ...this.uniforms }).gsplat }));
  }
}
