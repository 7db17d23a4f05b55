"""Runs MiniStack until its parent is gone: then standard input closes, and it saves its state and ends."""

import os
import signal
import threading


def end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock would abort the interpreter at its end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=end_with_parent, daemon=True).start()

from ministack.app import main  # noqa: E402  (it reads the environment on import, which takes a while)

from copy_checksums import answer_copies_with_checksums  # noqa: E402

answer_copies_with_checksums()
main()
