"""Nothing that the linker could share between instruction sets is compiled for one of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def objects() -> list[Path]:
    return sorted(ROOT.glob("build/*/CMakeFiles/engine_*.dir/native/*.cpp.o"))


@pytest.mark.skipif(shutil.which("nm") is None or not objects(), reason="needs nm and the objects of an editable build")
def test_an_object_for_one_instruction_set_defines_names_of_its_own_only() -> None:
    """A shared definition, such as that of a std template, could be taken from the object for AVX-512 on a machine
    without it."""
    for path in objects():
        isa = path.parts[path.parts.index("CMakeFiles") + 1].removeprefix("engine_").removesuffix(".dir")
        listed = subprocess.run(
            ["nm", "--demangle", "--defined-only", path], capture_output=True, text=True, check=True
        )
        shared = [line for line in listed.stdout.splitlines() if re.match(r"\S* *[WVuTDBR] ", line)]
        assert shared
        foreign = [line for line in shared if f"memfold::{isa}::" not in line and "DW.ref" not in line]
        assert not foreign, f"{path.name} for {isa} defines {foreign[:5]}"
