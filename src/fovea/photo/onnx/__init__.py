"""SHARP as ONNX: the network in parts, and an engine that predicts with them and without torch."""
