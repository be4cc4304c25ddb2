// The part of three.js and Spark that the page uses, as one global `foveaVendor`.
export {
  BufferAttribute,
  BufferGeometry,
  Color,
  DataTexture,
  EquirectangularReflectionMapping,
  FloatType,
  LineBasicMaterial,
  LineSegments,
  LinearFilter,
  Matrix4,
  PerspectiveCamera,
  Quaternion,
  Scene,
  Vector3,
  WebGLRenderer,
} from "three";
export { EXRLoader } from "three/addons/loaders/EXRLoader.js";
export { dyno, RgbaArray, SparkRenderer, SplatMesh } from "@sparkjsdev/spark";
