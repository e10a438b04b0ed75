"""What code costs, counted instead of timed: the same on every machine, however busy it is."""

import sys


def calls(function, *arguments, **named):
    """How many functions, of Python and of C, a call calls in this thread."""
    count = 0

    def seen(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        function(*arguments, **named)
    finally:
        sys.setprofile(before)
    return count
