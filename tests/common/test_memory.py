import platform

import psutil
import pytest

from tasks.common.memory import give_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to")
def test_what_was_freed_below_something_still_used_goes_back():
    blocks = [bytearray(2000) for _ in range(40_000)]  # 80 MB, each too small for pages of its own
    last, own = blocks[-1], psutil.Process()
    del blocks
    before = own.memory_info().rss
    give_back()
    assert before - own.memory_info().rss > 60e6
    assert len(last) == 2000
