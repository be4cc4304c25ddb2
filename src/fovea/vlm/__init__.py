"""The room `vlm`: image-text data in, a vision-language model and its scores out."""
