"""How far a job of many predicts has come: count, rate, time left."""

import re
import time


class Progress:
    """Tells by rank 0's steps, such as "predict 3 of 10"."""

    def __init__(self):
        self.begun = None  # when the first of these steps was seen, and its number

    def text(self, step):
        """Return the line to show for a step; "" for none."""
        numbers = re.fullmatch(r"predict (\d+) of (\d+)", step or "")
        if not numbers:
            return ""
        now, (done, count) = time.monotonic(), (int(number) for number in numbers.groups())
        done -= 1  # it is in the next one
        self.begun = self.begun or (now, done)
        since, before = self.begun
        if done == before:
            return f"{done} of {count} files"
        rate = (done - before) / max(now - since, 1e-3)
        shown = f"{rate:.3g}" if rate < 999.5 else f"{rate:.0f}"
        return f"{done} of {count} files, {shown} a second, {_clock((count - done) / rate)} left"


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"
