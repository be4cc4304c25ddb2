// The part of three.js and Spark that splat.js uses, as one global `foveaVendor`.
export {
  BufferAttribute,
  BufferGeometry,
  Color,
  LineBasicMaterial,
  LineSegments,
  Matrix4,
  PerspectiveCamera,
  Quaternion,
  Scene,
  Vector3,
  WebGLRenderer,
} from "three";
export { SparkRenderer, SplatMesh } from "@sparkjsdev/spark";
