"""A command on a terminal of its own, as a person would have it."""

import os
import pty


class Terminal:
    """It begins at once; `text` is what came back so far."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(command[0], command, environment)
            finally:
                os._exit(127)
        self.text = ""

    def read_until(self, words: str) -> None:
        while words not in self.text:
            self.text += os.read(self.master, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def close(self) -> int:
        try:
            while got := os.read(self.master, 4096):
                self.text += got.decode()
        except OSError:  # EIO: nobody holds the other end any more
            pass
        os.close(self.master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
