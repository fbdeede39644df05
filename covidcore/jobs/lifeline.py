"""The pipe between a worker and the processes that train for it: their standard input.

Nobody reads from it. A byte in it asks for an end in order, and lies there for all of them to see,
also for those that start later. Its end means that the worker is gone, however it went; then they
go too. So nothing is left behind that would train on, not even after SIGKILL.
"""

import os
import select
import threading

_STDIN = 0


class Lifeline:
    """Watches the pipe, on a thread; ends the process at once where the worker has ended."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, daemon=True).start()

    def asked(self) -> bool:
        """Whether the worker asks for an end."""
        return self._asked.is_set()

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(_STDIN, select.POLLIN)
        while True:
            for _, event in poll.poll():
                if event & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                    os._exit(1)
                self._asked.set()
                poll.modify(_STDIN, 0)  # the byte stays where it is; the end is still told
