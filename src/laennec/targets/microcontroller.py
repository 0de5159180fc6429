"""``laennec export --target microcontroller``: a model for windows as a C program of a few files.

The program stands in ``microcontroller_c``; what is written from the model are its arrays and sizes
(``laennec_model.h`` and ``.c``) and a page that says how to use them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from laennec.errors import LaennecError
from laennec.files import holds, make_folder, refuse_loss, refuse_other_folder, write_bytes, write_text
from laennec.model.integer import (
    BAND_DEVIATION,
    DEVIATION,
    FLOOR,
    LOG_STEPS,
    RUN_INTEGERS,
    ZERO,
    IntegerModel,
    Layer,
    image_factor,
    load_integer_model,
)
from laennec.model.load import OTHER_USES, shipped_models
from laennec.train.jobs import ExportJob

SHIPPED = "microcontroller"  # the name of the model that ships
STEP_S = 1.0  # from one window of the example to the next
CYCLES = (8, 12)  # of a Cortex-M4 for a product of 8 bits in plain C: 8 instructions or so, an estimate
LINE = 100  # characters
MARKER = "laennec_model.h"  # a file of every folder of ours
PROGRAM = "microcontroller_c"  # folder of the files that are the same for every model
TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "uint8": "uint8_t", "float32": "float"}


def export_microcontroller(job: ExportJob) -> Path:
    """Write the C program that a job of `laennec export` asks for, and return its folder."""
    model = load_integer_model(integer_model_path(job.model or SHIPPED))
    return write_program(model, job.out or Path(f"laennec-{SHIPPED}"))


def integer_model_path(name: str) -> Path:
    """The file of a model in integers: of the one that ships, a run folder, or the file itself.

    LaennecError if there is none.
    """
    if name == SHIPPED:
        return Path(str(files("laennec").joinpath("pretrained", f"{SHIPPED}.npz")))
    path = Path(name)
    if path.is_dir():
        if not (path / RUN_INTEGERS).is_file():
            raise LaennecError(
                f"{name}: a folder without {RUN_INTEGERS}, which a finished run of a model for windows has "
                f"(laennec train {SHIPPED})"
            )
        return path / RUN_INTEGERS
    if not path.exists():
        if name in (*shipped_models(), *OTHER_USES):
            raise LaennecError(
                f"{name}: not in integers of 8 bits, as a microcontroller needs it; {SHIPPED} ships, and "
                f"`laennec train {SHIPPED}` makes others"
            )
        raise LaennecError(f"{name}: no such model in integers, nor the one that ships ({SHIPPED})")
    return path


def write_program(model: IntegerModel, folder: Path) -> Path:
    """Write the C program of a model into a folder, each file whole or not at all.

    In a folder that has one, the model is replaced. LaennecError if the folder holds other files, or if a
    file of the program, such as the example, was changed: that work would be lost.
    """
    refuse_other_folder(folder, MARKER)
    make_folder(folder)
    program = files("laennec").joinpath("targets", PROGRAM)
    parts = {part.name: part.read_bytes() for part in program.iterdir() if part.is_file()}
    for name, content in sorted(parts.items()):
        refuse_loss(folder / name, holds(content))
    for name, content in parts.items():
        write_bytes(folder / name, content)
    write_text(folder / MARKER, header(model))
    write_text(folder / "laennec_model.c", arrays(model))
    write_text(folder / "README.md", page(model))
    return folder


def layers_of(model: IntegerModel) -> list[Layer]:
    """Layers in order, with weights and biases as the program reads them."""
    layers = [model.stem]
    for depthwise, pointwise in model.blocks:
        layers.append(replace(depthwise, weight=depthwise.weight.transpose(1, 2, 0)))
        # What stands for nothing, -128, goes into the bias: no border is there to leave it out.
        raised = pointwise.bias.astype(np.int64) - ZERO * pointwise.weight.astype(np.int64).sum(1)
        layers.append(replace(pointwise, bias=raised.astype(np.int32)))
    return layers


def buffers_of(model: IntegerModel) -> tuple[int, int]:
    """Bytes of the two buffers that maps are written into in turn, the image into the first."""
    sizes = [int(np.prod(size)) for size in model.map_sizes()]
    return max(sizes[::2]), max(sizes[1::2])


def sizes_of(model: IntegerModel) -> dict[str, int]:
    """Numbers of the program, by their names without ``LAENNEC_``."""
    first, second = buffers_of(model)
    layers, rate, hop = layers_of(model), model.sample_rate, model.hop_length
    return {
        "SAMPLE_RATE": rate,
        "WINDOW": model.clip_samples,
        "STEP": min(round(STEP_S * rate / hop), model.clip_samples // hop) * hop,
        "FFT": model.n_fft,
        "HOP": hop,
        "FRAMES": model.frames,
        "BANDS": model.bands,
        "CHANNELS": model.channels,
        "LOG_STEPS": LOG_STEPS,
        "FACTOR": image_factor(DEVIATION),
        "BAND_FACTOR": image_factor(BAND_DEVIATION),
        "LABELS": len(model.labels),
        "LAYERS": len(layers),
        "MOST_CHANNELS": max(len(layer.bias) for layer in layers),
        "FIRST_BYTES": first,
        "SECOND_BYTES": second,
    }


def header(model: IntegerModel) -> str:
    """``laennec_model.h``: sizes, and what there is of arrays."""
    thresholds = zip(model.labels, model.metadata["thresholds"], strict=True)
    lines = [
        f"/* Sizes of the model {_plain(model.metadata['name'])}, written by Laennec "
        f"{_plain(model.metadata['version'])}. */",
        "#ifndef LAENNEC_MODEL_H",
        "#define LAENNEC_MODEL_H",
        "",
        "#include <stdint.h>",
        "",
        *(f"#define LAENNEC_{name} {value}" for name, value in sizes_of(model).items()),
        f"#define LAENNEC_FLOOR {_single(FLOOR)}",
        f"#define LAENNEC_LOG_FLOOR {_single(np.log(FLOOR))}",
        "",
        "/* A probability from here on has a specificity of .9 on the windows that these were chosen by. */",
        *(
            f"#define LAENNEC_{_plain(label).upper()}_THRESHOLD {_single(value)}"
            for label, value in thresholds
        ),
        "",
        DECLARATIONS,
    ]
    return "\n".join(lines)


DECLARATIONS = """typedef struct {
    const int8_t *weight;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
    int16_t bands, frames, inputs;             /* of the maps that it reads */
    int16_t out_bands, out_frames, outputs;    /* of those that it writes */
    int16_t band_stride, frame_stride;
} laennec_layer;

extern const laennec_layer laennec_layers[LAENNEC_LAYERS];
extern const float laennec_window[LAENNEC_FFT];
extern const float laennec_cosine[LAENNEC_FFT / 2], laennec_sine[LAENNEC_FFT / 2];
extern const int16_t laennec_mel_first[LAENNEC_BANDS], laennec_mel_count[LAENNEC_BANDS];
extern const float laennec_mel_weight[];
extern const int8_t laennec_head[];
extern const int32_t laennec_head_bias[LAENNEC_LABELS];
extern const float laennec_scale[LAENNEC_LABELS], laennec_offset[LAENNEC_LABELS];

#endif
"""


def arrays(model: IntegerModel) -> str:
    """``laennec_model.c``: all arrays."""
    angle = 2 * np.pi * np.arange(model.n_fft // 2) / model.n_fft
    tables = model.tables
    slopes, offsets = (np.array(model.metadata[name], float) for name in ("slopes", "offsets"))
    parts = [
        '#include "laennec_model.h"\n',
        c_array("laennec_window", tables.window),
        c_array("laennec_cosine", np.cos(angle).astype(np.float32)),
        c_array("laennec_sine", np.sin(angle).astype(np.float32)),
        c_array("laennec_mel_first", tables.first),
        c_array("laennec_mel_count", tables.count),
        c_array("laennec_mel_weight", tables.weight),
    ]
    for number, layer in enumerate(layers_of(model)):
        parts += [
            c_array(f"weight_{number}", layer.weight, "static "),
            c_array(f"bias_{number}", layer.bias, "static "),
            c_array(f"multiplier_{number}", layer.multiplier, "static "),
            c_array(f"shift_{number}", layer.shift.astype(np.uint8), "static "),
        ]
    parts += [
        "const laennec_layer laennec_layers[LAENNEC_LAYERS] = {\n" + "".join(_entries(model)) + "};\n",
        c_array("laennec_head", model.head),
        c_array("laennec_head_bias", model.head_bias),
        c_array("laennec_scale", (model.head_scale * slopes).astype(np.float32)),
        c_array("laennec_offset", offsets.astype(np.float32)),
    ]
    return "\n".join(parts)


def _entries(model: IntegerModel) -> Iterator[str]:
    """Initialisers of the layers: pointers, then sizes of the maps before and after, and strides."""
    sizes = model.map_sizes()
    shapes: list[tuple[int, ...]] = [(*sizes[0], *sizes[1], *model.strides[0])]
    for before, after, stride in zip(sizes[1:], sizes[2:], model.strides[1:], strict=False):
        shapes.append((*before, *after[:2], before[2], *stride))
        shapes.append((*after[:2], before[2], *after, 1, 1))
    for number, shape in enumerate(shapes):
        pointers = ", ".join(f"{name}_{number}" for name in ("weight", "bias", "multiplier", "shift"))
        yield f"    {{{pointers}, {', '.join(map(str, shape))}}},\n"


def c_array(name: str, values: Any, before: str = "") -> str:
    """A constant array in C."""
    flat = np.ascontiguousarray(values).ravel()
    kind = TYPES[str(values.dtype)]
    written = [_single(value) for value in flat] if kind == "float" else [str(int(value)) for value in flat]
    return f"{before}const {kind} {name}[{len(flat)}] = {{\n{''.join(_wrapped(written))}}};\n"


def _wrapped(words: Iterable[str]) -> Iterator[str]:
    line = "   "
    for word in words:
        if len(line) + len(word) + 2 > LINE:
            yield f"{line}\n"
            line = "   "
        line += f" {word},"
    yield f"{line}\n"


def _single(value: Any) -> str:
    """A number of single precision as C writes it, exact."""
    text = np.format_float_positional(np.float32(value), unique=True, trim="0")
    return f"{text}f"


def _plain(text: Any) -> str:
    """A word without what would end a comment or a name in C."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in str(text))


def page(model: IntegerModel) -> str:
    """``README.md`` of the program."""
    products, rate = model.multiplications(), model.sample_rate
    low, high = (products * cycles / 1e6 for cycles in CYCLES)
    return PAGE.format(
        name=model.metadata["name"],
        names=" and ".join(f"{label}s" for label in model.labels),
        window_s=model.clip_samples / rate,
        rate=rate,
        half=rate // 2,
        weights=model.weight_bytes(),
        maps=sum(buffers_of(model)),
        ring=2 * model.frames * model.bands,
        products=products,
        spectra=model.frames,
        n_fft=model.n_fft,
        a_second=rate / model.hop_length,
        low=low,
        high=high,
        cycles=CYCLES,
        limits=model.metadata.get("limits", ""),
    )


PAGE = """# Laennec on a microcontroller: {names}

Research software, not a medical device.

The model `{name}` tells whether {names} are heard in {window_s:g} s of lung sound (wheezes include rhonchi
and stridors). C99, no allocation, no dependency but `math.h`.

```sh
make && ./laennec recording.wav    # start of each window in seconds, P(wheeze), P(crackle)
make size
```

```c
#include "laennec.h"

laennec_reset();
laennec_push(samples, count);                  /* int16_t at {rate} Hz, as they come */
if (laennec_classify_latest(probability) == 0) /* of the last window; -1: not enough sound yet */
    if (probability[LAENNEC_WHEEZE] >= LAENNEC_WHEEZE_THRESHOLD) …
laennec_classify(window, probability);         /* of one window by itself */
```

| | |
|---|---|
| input | 16-bit samples at {rate} Hz, after an anti-aliasing filter below {half} Hz |
| weights | {weights} bytes |
| maps and frames | {maps} and {ring} bytes of static memory |
| products of 8 bits | {products} a window |
| Fourier transforms | {spectra} of {n_fft} points a window, {a_second:g} a second |
| estimate for a Cortex-M4 in plain C | {low:.0f} to {high:.0f} million cycles a window for the network, at \
{cycles[0]} to {cycles[1]} cycles a product; not measured on a device |

`laennec_network.c` computes in integers alone: every machine gives the same sums. The front end is in single
precision.

{limits}
"""
