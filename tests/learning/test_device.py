"""What the machine offers is read from what it says of itself."""

import pytest

from tasks.learning.device import bf16_pays


@pytest.mark.parametrize(
    ("cpuinfo", "pays"),
    [
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 amx_bf16 amx_tile", True),
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16", False),  # a virtual machine that hides AMX
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16", True),
        ("vendor_id : AuthenticAMD\nflags : avx2", False),
        ("", False),
    ],
)
def test_bf16_is_taken_where_a_cpu_multiplies_it_faster(cpuinfo, pays):
    assert bf16_pays(cpuinfo) is pays
