"""Made image-text data: pictures whose contents are known, captions right and wrong, questions."""
