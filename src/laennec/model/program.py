"""What a model file may make a computer do: its graph is read, without being run, and refused if need be.

ONNX Runtime runs whatever a graph says. This module reads the few parts of the file that decide what that
is, in Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding/) with the field
numbers of ``onnx.proto3``, since the base install has no package for it, and since that takes milliseconds.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from laennec.errors import LaennecError

LARGEST_ARRAY = 2**28  # values that a constant may ask for: 1 GiB of float32
LARGEST_NUMBER = 2**20  # of an operator's attribute, such as the size of a kernel

# Operators of the standard that map arrays to arrays: no loops, branches, functions, files or chance.
_STANDARD = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization BitShift Cast
    CastLike Ceil Celu Clip Compress Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh
    CumSum DFT DepthToSpace DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp
    Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool
    GlobalMaxPool Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax Identity
    InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax
    LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul
    Neg NonZero Not OneHot Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RNN Range Reciprocal
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Resize ReverseSequence Round STFT ScatterElements ScatterND Selu Shape
    Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum
    Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor
"""
OPERATORS = frozenset(_STANDARD.split())
# Inputs that say how long a result is, by place, and whether their values are multiplied.
LENGTHS = {
    "ConstantOfShape": ((0,), True),
    "DFT": ((1,), False),
    "Expand": ((1,), True),
    "OneHot": ((1,), False),
    "Pad": ((1,), False),
    "Range": ((0, 1), False),
    "Resize": ((2, 3), True),
    "STFT": ((3,), False),
    "Tile": ((1,), True),
}
FREE = ("starts", "ends", "axes", "seed")  # attributes that make nothing longer
SMALL = 256  # bytes of a constant whose values are looked at
# By data type: bytes of a value, or less where several share one; the letter of `struct`.
BYTES = {1: 4.0, 4: 2.0, 5: 2.0, 6: 4.0, 7: 8.0, 10: 2.0, 11: 8.0, 12: 4.0, 13: 8.0, 16: 2.0}
LETTERS = {1: "f", 6: "i", 7: "q", 11: "d"}

Message = bytes | memoryview  # constants are not copied; small messages are read faster as bytes
Field = tuple[int, int | Message]  # number and value; fixed-width values are bytes, too


@dataclass
class Constant:
    """What a tensor of the file says of itself, and its numbers where they are few."""

    name: str = ""
    shape: list[int] = field(default_factory=list)
    kind: int = 0
    values: float = 0  # how many there are, at most
    numbers: list[float] = field(default_factory=list)


def check_program(content: bytes, source: str) -> None:
    """Refuse a model file that could do more than compute its outputs, or that asks for absurd memory.

    Checked are operators and their domains, functions, constants in other files, the sizes of constants, and
    constants that say how long a result becomes. What a broadcast of two small arrays makes is not checked.

    Raises
    ------
    LaennecError
        Naming the file and the operator or constant.
    ValueError
        If the file is no message of Protocol Buffers.
    """
    for number, value in fields(memoryview(content)):
        if number == 7:
            _check_graph(_message(value), source)
        elif number in (20, 25):
            what = "functions" if number == 25 else "training steps"
            raise LaennecError(f"{source}: a model with {what} of its own, which Laennec does not run")


def _check_graph(graph: Message, source: str) -> None:
    constants: dict[str, Constant] = {}
    nodes = []
    for number, value in fields(graph):
        if number == 1:
            nodes.append(bytes(_message(value)))
        elif number == 5:
            constant = _constant(_message(value), source)
            constants[constant.name] = constant
        elif number == 15:
            raise LaennecError(f"{source}: a model with sparse constants, which Laennec does not run")
    for node in nodes:
        _check_node(node, constants, source)


def _check_node(node: Message, constants: dict[str, Constant], source: str) -> None:
    """Check an operator; what a Constant holds is added to the constants."""
    texts: dict[int, list[str]] = {1: [], 2: [], 3: [""], 4: [], 7: []}
    attributes = []
    for number, value in fields(node):
        if number in texts:
            texts[number].append(bytes(_message(value)).decode())
        elif number == 5:
            attributes.append(_message(value))
    inputs, outputs, names, operators, domains = texts.values()
    strange = [
        f"{domain}.{operators[-1] if operators else ''}"
        for domain in domains
        if domain not in ("", "ai.onnx")
    ]
    strange += [operator for operator in operators or [""] if operator not in OPERATORS]
    if strange:
        raise LaennecError(f"{source}: a model with the operator {strange[0]!r}, which Laennec does not run")
    where = f"operator {operators[-1]} {names[-1]}".rstrip()
    for attribute in attributes:
        for constant in _check_attribute(attribute, where, source):
            constants.update(dict.fromkeys(outputs, constant))
    places, multiplied = LENGTHS.get(operators[-1], ((), False))
    for place in places:
        constant = constants.get(inputs[place], Constant()) if place < len(inputs) else Constant()
        sizes = [abs(value) for value in constant.numbers]
        _refuse_above(LARGEST_ARRAY, math.prod(sizes) if multiplied else max(sizes, default=0), where, source)


def _check_attribute(attribute: Message, where: str, source: str) -> Iterator[Constant]:
    """Check an attribute, and yield the constants in it."""
    name = ""
    numbers: list[float] = []
    for number, value in fields(attribute):
        if number == 1:
            name = bytes(_message(value)).decode()
        elif number in (5, 10):
            yield _constant(_message(value), source)
        elif number in (6, 11, 22, 23):
            raise LaennecError(
                f"{source}: {where} holds a graph or a sparse constant, which Laennec does not run"
            )
        elif number in (3, 8):
            numbers += _integers(value)
        elif number in (2, 7):
            numbers += _unpacked(_message(value), "f")
    if name.startswith("value_"):
        yield Constant(numbers=numbers)
    elif name not in FREE:
        _refuse_above(LARGEST_NUMBER, max(map(abs, numbers), default=0), f"{name} of {where}", source)


def _refuse_above(largest: int, size: float, where: str, source: str) -> None:
    if not size <= largest:  # NaN compares false
        raise LaennecError(
            f"{source}: {where} asks for {size:.4g} values; Laennec runs models of up to {largest}"
        )


def _constant(message: Message, source: str) -> Constant:
    """Read a tensor; refuse one that lies in another file, or says it is larger than what is there of it."""
    own = Constant()
    for number, value in fields(message):
        if number == 1:
            own.shape += map(int, _integers(value))
        elif number == 2 and isinstance(value, int):
            own.kind = value
        elif number == 8:
            own.name = bytes(_message(value)).decode()
        elif number == 13 or (number == 14 and value):
            raise LaennecError(
                f"{source}: the constant {own.name!r} lies in another file, which Laennec does not read; "
                "export the model into one file"
            )
        elif number in (4, 5, 6, 7, 9, 10, 11):
            own.values += _count(number, value, own.kind)
            if isinstance(value, int) or len(value) <= SMALL:
                own.numbers += _numbers(number, value, own.kind)
    if any(length < 0 for length in own.shape) or math.prod(own.shape) > own.values:
        raise LaennecError(
            f"{source}: the constant {own.name!r} has the shape {tuple(own.shape)}, "
            "and the file has fewer values"
        )
    return own


def _count(number: int, value: int | Message, kind: int) -> float:
    """How many values a field of a tensor holds, at most."""
    if isinstance(value, int) or number == 6:
        return 1
    return len(value) / {9: BYTES.get(kind, 0.5), 4: 4.0, 10: 8.0}.get(number, 1.0)


def _numbers(number: int, value: int | Message, kind: int) -> list[float]:
    """The values of a field of a tensor, where they are numbers."""
    letter = {4: "f", 10: "d", 9: LETTERS.get(kind)}.get(number)
    if letter is not None:
        return _unpacked(_message(value), letter)
    return [] if number in (6, 9) else _integers(value)


# --- the wire format ----------------------------------------------------------------------------------------


def fields(message: Message) -> Iterator[Field]:
    """Number and value of each field; ValueError where the bytes are no message."""
    place, end = 0, len(message)
    while place < end:
        key = message[place]
        if key < 128:  # as nearly all are
            place += 1
        else:
            key, place = _varint(message, place)
        form = key & 7
        if form == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if form == 2:
            length, place = _varint(message, place)
        elif form in (1, 5):
            length = 8 if form == 1 else 4
        else:
            raise ValueError(f"no message at byte {place}")
        if key < 8 or place + length > end:
            raise ValueError(f"it ends within a field at byte {place}")
        yield key >> 3, message[place : place + length]
        place += length


def _varint(message: Message, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the place after it."""
    total = 0
    for shift, byte in enumerate(message[place : place + 10]):
        total |= (byte & 127) << 7 * shift
        if byte < 128:
            return total, place + shift + 1
    raise ValueError(f"no number at byte {place}")


def _message(value: int | Message) -> Message:
    if isinstance(value, int):
        raise ValueError("a number in place of a text or a message")
    return value


def _integers(value: int | Message) -> list[float]:
    """Whole numbers of a repeated field: one, or many in a row."""
    numbers, place = [value] if isinstance(value, int) else [], 0
    while not isinstance(value, int) and place < len(value):
        one, place = _varint(value, place)
        numbers.append(one)
    return [one - 2**64 if one >= 2**63 else one for one in numbers]  # 64 bits with a sign


def _unpacked(value: Message, letter: str) -> list[float]:
    count = len(value) // struct.calcsize(f"<{letter}")
    return list(struct.unpack_from(f"<{count}{letter}", value))
