"""What the program for microcontrollers needs: compiled for two processors, and run on an emulated one."""

import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from laennec.errors import LaennecError
from laennec.model.integer import IntegerModel
from laennec.targets.microcontroller import buffers_of, c_array, write_program

FLAGS = ("-std=c99", "-O2")
CORTEX = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
ARM = "arm-none-eabi-gcc"
COMPILERS = {"gcc": FLAGS, ARM: (*FLAGS, *CORTEX)}
EMULATOR = "qemu-system-arm"
EMULATED = (EMULATOR, "-M", "mps2-an386", "-nographic", "-semihosting-config", "enable=on,target=native")
TICK = 40  # instructions, with -icount shift=0
PARTS = {"frontend_ticks": "the front end", "network_ticks": "the network"}


def device(model: IntegerModel) -> dict[str, Any]:
    """Sizes of the compiled program without its example, and operations of a window."""
    with tempfile.TemporaryDirectory() as place:
        folder = write_program(model, Path(place))
        sizes = {name: _sizes(folder, name) for name in COMPILERS if shutil.which(name)}
        emulated = _emulated(model, folder) if shutil.which(ARM) and shutil.which(EMULATOR) else None
    return {
        "products": model.multiplications(),
        "weight_bytes": model.weight_bytes(),
        "buffers": list(buffers_of(model)),
        "maps": [list(size) for size in model.map_sizes()],
        "n_fft": model.n_fft,
        "frames": model.frames,
        "frames_a_second": model.sample_rate / model.hop_length,
        "sample_rate": model.sample_rate,
        "compiled": sizes,
        **({"emulated": emulated} if emulated else {}),
    }


def _sizes(folder: Path, compiler: str) -> dict[str, Any]:
    """Bytes of flash and of memory of the compiled program, without libraries and stack."""
    flags = COMPILERS[compiler]
    subprocess.run([compiler, *flags, "-c", *sorted(folder.glob("laennec*.c"))], cwd=folder, check=True)
    objects = sorted(folder.glob("laennec*.o"))
    size = shutil.which(compiler.replace("gcc", "size")) or "size"
    told = subprocess.run([size, "-t", *objects], capture_output=True, text=True, check=True).stdout
    for path in objects:
        path.unlink()
    text, data, bss = map(int, told.splitlines()[-1].split()[:3])
    version = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True, check=True).stdout
    named = {"version": version.strip(), "flags": " ".join(flags)}
    return {**named, "flash": text + data, "memory": data + bss}


def _emulated(model: IntegerModel, folder: Path) -> dict[str, int]:
    """Instructions of a window of noise on an emulated Cortex-M4, whose sums must be those of NumPy."""
    noise = np.random.default_rng(0).standard_normal(model.clip_samples)
    window = np.rint(500 * noise).astype(np.int16)
    text = "#include <stdint.h>\n" + c_array("sound", window)
    (folder / "sound.c").write_text(text, encoding="utf-8")
    place = Path(str(files("laennec").joinpath("experiments", "emulated")))
    sources: list[str | Path] = [place / "emulated.c", *folder.glob("laennec*.c"), folder / "sound.c"]
    linked: list[str | Path] = [
        "-nostartfiles",
        "--specs=nosys.specs",
        "-T",
        place / "emulated.ld",
        "-I",
        folder,
    ]
    program = folder / "emulated.elf"
    subprocess.run([ARM, *COMPILERS[ARM], *linked, "-I", folder, *sources, "-lm", "-o", program], check=True)
    command: list[str | Path] = [*EMULATED, "-icount", "shift=0", "-kernel", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    numbers: dict[str, list[int]] = {}
    for line in (done.stdout + done.stderr).splitlines():
        name, _, number = line.partition(" ")
        numbers.setdefault(name, []).append(int(number))
    frames = np.array(numbers["frame"], np.int16).reshape(1, model.frames, model.bands)
    if numbers["sum"] != model.accumulate(frames)[0].tolist():
        raise LaennecError("the emulated Cortex-M4 gives other sums than NumPy")
    return {f"{title} on an emulated Cortex-M4": TICK * numbers[name][0] for name, title in PARTS.items()}
