"""What is uploaded stays in memory: whoever sends a file by mistake may send one full of card numbers."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler

TOO_LARGE: Final = "The upload is larger than settings.FILE_UPLOAD_MAX_MEMORY_SIZE."


class InMemoryUploadHandler(MemoryFileUploadHandler):
    """Django's own, which refuses what is too large for it. By itself Django would write that to a disk, in clear.

    Raises `RequestDataTooBig` before anything of the body is read.
    """

    def handle_raw_input(self, *args: Any, **options: Any) -> None:
        super().handle_raw_input(*args, **options)
        if not self.activated:
            raise RequestDataTooBig(TOO_LARGE)
