"""Words in pictures, read by a network that a Python package carries (PP-OCRv4 by rapidocr).

TextVQA's annotations have such words; other questions about pictures have not. The network puts no
blanks between English words of one line: `WELCOMETO` is one token, as in the annotations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fovea.errors import BackendError
from fovea.vlm.picture import read_picture

PACKAGE = "rapidocr-onnxruntime"


class WordReader:
    """Reads the words of pictures, from the top down.

    Raises:
        BackendError: the package is not installed.
    """

    def __init__(self) -> None:
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            raise BackendError(
                f"reader=rapidocr reads words by the package {PACKAGE}, which is not installed. "
                f"pip install {PACKAGE} (16 MB, its networks among them), or take "
                "reader=annotations."
            ) from error
        # Several threads sum in another order: the same picture, other words now and then.
        self._network: Any = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)

    def words(self, picture: Path | bytes) -> list[str]:
        """The words of a picture; none where there are none.

        Raises:
            DataError: it is not a picture.
        """
        pixels = np.asarray(read_picture(picture))[..., ::-1]
        lines, _ = self._network(np.ascontiguousarray(pixels))
        return [word for line in lines or () for word in str(line[1]).split()]
