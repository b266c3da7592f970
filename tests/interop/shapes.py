#!/usr/bin/env python3
"""Packs and unpacks XDR values with Python's xdrlib, for differential tests.

Each line on stdin is a JSON object, each gets one JSON object back on stdout:

    {"shape": SHAPE, "value": VALUE}  ->  {"hex": "..."}      packed
    {"shape": SHAPE, "hex": "..."}    ->  {"value": VALUE}    unpacked, all of it
    either                            ->  {"error": KIND, "detail": "..."}

KIND is one of: range, bound, bool, optional, enum, union, utf8, padding, eof,
trailing, request (the line itself is wrong).

    SHAPE                                         VALUE
    "int" "uint" "hyper" "uhyper"                 number
    "float" "double"                              bit pattern, 8 or 16 hex digits
    "float_value" "double_value"                  finite number
    "bool"                                        true, false
    "void"                                        null
    {"opaque_fixed": n} {"opaque": max}           hex
    {"string": max}                               string, max counts its UTF-8 bytes
    {"array": [shape, max]}                       array
    {"fixed_array": [shape, n]}                   array
    {"list": [shape, max]}                        array; a linked list on the wire
    {"optional": shape}                           null or [value]
    {"struct": [[name, shape], ...]}              object
    {"enum": [number, ...]}                       number
    {"union": {"switch": "int" | "uint" | "bool" | {"enum": [...]},
               "arms": [[[label, ...], shape], ...],
               "default": shape | null}}          {"tag": number or bool, "value": value}

xdrlib itself takes any padding, any bool and no bounds; what is stricter here
is checked around it. Exit status 77: this Python has no xdrlib (3.13 removed it).
"""

import json
import math
import sys
import warnings

warnings.filterwarnings("ignore", category=DeprecationWarning)
try:
    import xdrlib
except ModuleNotFoundError:
    print("shapes.py: this Python has no xdrlib (removed in 3.13)", file=sys.stderr)
    sys.exit(77)

INTEGERS = {
    "int": (-(2**31), 2**31 - 1),
    "uint": (0, 2**32 - 1),
    "hyper": (-(2**63), 2**63 - 1),
    "uhyper": (0, 2**64 - 1),
}


class Fault(Exception):
    """A value or a packing that its shape does not allow."""

    def __init__(self, kind, detail):
        super().__init__(detail)
        self.kind = kind


def split(shape):
    """The shape's kind and what it carries."""
    if isinstance(shape, str):
        return shape, None
    if isinstance(shape, dict) and len(shape) == 1:
        return next(iter(shape.items()))
    raise Fault("request", f"not a shape: {shape!r}")


def check_bound(length, maximum, what):
    if length > maximum:
        raise Fault("bound", f"{what} of {length} is longer than its maximum {maximum}")


def check_type(value, wanted, what):
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise Fault("request", f"{what} cannot be {value!r}")


def from_hex(text):
    check_type(text, str, "hex")
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise Fault("request", f"not hex: {error}") from None


def arm_of(union, tag):
    for labels, shape in union["arms"]:
        if int(tag) in [int(label) for label in labels]:
            return shape
    if union.get("default") is None:
        raise Fault("union", f"no arm for {tag!r}")
    return union["default"]


# ---- packing ----


def pack(packer, shape, value):
    kind, detail = split(shape)
    if kind in INTEGERS:
        check_type(value, int, kind)
        low, high = INTEGERS[kind]
        if not low <= value <= high:
            raise Fault("range", f"{value} is no {kind}")
        getattr(packer, "pack_" + kind)(value)
    elif kind in ("float", "double"):
        bits = from_hex(value)
        if len(bits) != {"float": 4, "double": 8}[kind]:
            raise Fault("request", f"{len(bits)} bytes are no {kind}")
        packer.pack_fopaque(len(bits), bits)
    elif kind in ("float_value", "double_value"):
        check_type(value, (int, float), kind)
        try:
            getattr(packer, "pack_" + kind.removesuffix("_value"))(value)
        except (OverflowError, xdrlib.ConversionError) as error:
            raise Fault("range", str(error)) from None
    elif kind == "bool":
        check_type(value, bool, kind)
        packer.pack_bool(value)
    elif kind == "void":
        if value is not None:
            raise Fault("request", "void carries null")
    elif kind == "opaque_fixed":
        data = from_hex(value)
        if len(data) != detail:
            raise Fault("bound", f"{len(data)} bytes where {detail} belong")
        packer.pack_fopaque(detail, data)
    elif kind == "opaque":
        data = from_hex(value)
        check_bound(len(data), detail, "opaque")
        packer.pack_opaque(data)
    elif kind == "string":
        check_type(value, str, kind)
        try:
            data = value.encode()
        except UnicodeEncodeError as error:
            raise Fault("utf8", str(error)) from None
        check_bound(len(data), detail, "string")
        packer.pack_string(data)
    elif kind in ("array", "list", "fixed_array"):
        item, length = detail
        check_type(value, list, kind)

        def pack_item(element):
            pack(packer, item, element)

        if kind == "fixed_array":
            if len(value) != length:
                raise Fault("bound", f"{len(value)} elements where {length} belong")
            packer.pack_farray(length, value, pack_item)
            return
        check_bound(len(value), length, kind)
        getattr(packer, "pack_" + kind)(value, pack_item)
    elif kind == "optional":
        if value is not None and (not isinstance(value, list) or len(value) != 1):
            raise Fault("request", "optional is null or [value]")
        packer.pack_bool(value is not None)
        if value is not None:
            pack(packer, detail, value[0])
    elif kind == "struct":
        check_type(value, dict, kind)
        for name, field in detail:
            if name not in value:
                raise Fault("request", f"field {name} is missing")
            pack(packer, field, value[name])
    elif kind == "enum":
        check_type(value, int, kind)
        if value not in detail:
            raise Fault("enum", f"{value} is not in the enum")
        packer.pack_enum(value)
    elif kind == "union":
        check_type(value, dict, kind)
        arm = arm_of(detail, value["tag"])
        pack(packer, detail["switch"], value["tag"])
        pack(packer, arm, value["value"])
    else:
        raise Fault("request", f"unknown shape {kind!r}")


# ---- unpacking ----


def peek_count(unpacker):
    """The unsigned integer that comes next, without taking it."""
    position = unpacker.get_position()
    count = unpacker.unpack_uint()
    unpacker.set_position(position)
    return count


def check_padding(unpacker, length):
    end = unpacker.get_position()
    padding = unpacker.get_buffer()[end - (-length % 4) : end]
    if any(padding):
        raise Fault("padding", f"padding is {padding.hex()}")


def unpack_variable(unpacker, maximum, what):
    check_bound(peek_count(unpacker), maximum, what)
    data = unpacker.unpack_opaque()
    check_padding(unpacker, len(data))
    return data


def unpack(unpacker, shape):
    kind, detail = split(shape)
    if kind in INTEGERS:
        return getattr(unpacker, "unpack_" + kind)()
    if kind in ("float", "double"):
        return unpacker.unpack_fopaque({"float": 4, "double": 8}[kind]).hex()
    if kind in ("float_value", "double_value"):
        value = getattr(unpacker, "unpack_" + kind.removesuffix("_value"))()
        if not math.isfinite(value):
            raise Fault("range", f"{value} has no JSON number")
        return value
    if kind == "bool":
        if peek_count(unpacker) > 1:
            raise Fault("bool", f"{peek_count(unpacker)} is no bool")
        return unpacker.unpack_bool()
    if kind == "void":
        return None
    if kind == "opaque_fixed":
        data = unpacker.unpack_fopaque(detail)
        check_padding(unpacker, detail)
        return data.hex()
    if kind == "opaque":
        return unpack_variable(unpacker, detail, kind).hex()
    if kind == "string":
        try:
            return unpack_variable(unpacker, detail, kind).decode()
        except UnicodeDecodeError as error:
            raise Fault("utf8", str(error)) from None
    if kind in ("array", "fixed_array"):
        item, length = detail

        def unpack_item():
            return unpack(unpacker, item)

        if kind == "fixed_array":
            return unpacker.unpack_farray(length, unpack_item)
        check_bound(peek_count(unpacker), length, kind)
        return unpacker.unpack_array(unpack_item)
    if kind == "list":
        item, length = detail
        value = []
        while take_flag(unpacker):
            check_bound(len(value) + 1, length, kind)
            value.append(unpack(unpacker, item))
        return value
    if kind == "optional":
        return [unpack(unpacker, detail)] if take_flag(unpacker) else None
    if kind == "struct":
        return {name: unpack(unpacker, field) for name, field in detail}
    if kind == "enum":
        value = unpacker.unpack_enum()
        if value not in detail:
            raise Fault("enum", f"{value} is not in the enum")
        return value
    if kind == "union":
        tag = unpack(unpacker, detail["switch"])
        return {"tag": tag, "value": unpack(unpacker, arm_of(detail, tag))}
    raise Fault("request", f"unknown shape {kind!r}")


def take_flag(unpacker):
    """The flag before optional data."""
    if peek_count(unpacker) > 1:
        raise Fault("optional", f"{peek_count(unpacker)} is no optional-data flag")
    return unpacker.unpack_bool()


# ---- requests ----


def answer(line):
    try:
        request = json.loads(line)
        if "value" in request:
            packer = xdrlib.Packer()
            pack(packer, request["shape"], request["value"])
            return {"hex": packer.get_buffer().hex()}
        unpacker = xdrlib.Unpacker(from_hex(request["hex"]))
        value = unpack(unpacker, request["shape"])
        try:
            unpacker.done()
        except xdrlib.Error as error:
            raise Fault("trailing", str(error)) from None
        return {"value": value}
    except Fault as fault:
        return {"error": fault.kind, "detail": str(fault)}
    except EOFError:
        return {"error": "eof", "detail": "the packing ends too early"}
    except (KeyError, RecursionError, TypeError, ValueError, xdrlib.Error) as error:
        return {"error": "request", "detail": f"{type(error).__name__}: {error}"}


def self_test():
    pair = {"union": {"switch": "uint", "arms": [[[1], "int"], [[2, 6], "bool"]], "default": "void"}}
    narrow = {"union": {"switch": "bool", "arms": [[[True], {"string": 8}]], "default": None}}
    point = {"struct": [["x", "int"], ["y", "uhyper"]]}
    both_ways = [
        ("int", -2, "fffffffe"),
        ("uint", 2**32 - 1, "ffffffff"),
        ("hyper", -2, "fffffffffffffffe"),
        ("uhyper", 2**64 - 1, "ffffffffffffffff"),
        ("float", "7fc00001", "7fc00001"),
        ("double", "fff0000000000000", "fff0000000000000"),
        ("float_value", 1.5, "3fc00000"),
        ("double_value", -0.0, "8000000000000000"),
        ("bool", True, "00000001"),
        ("void", None, ""),
        ({"opaque_fixed": 5}, "0102030405", "0102030405000000"),
        ({"opaque": 3}, "010203", "0000000301020300"),
        ({"opaque": 0}, "", "00000000"),
        ({"string": 4}, "h\u00e9!", "0000000468c3a921"),
        ({"array": ["int", 2]}, [1, 2], "000000020000000100000002"),
        ({"array": [{"string": 9}, 2]}, ["a"], "000000010000000161000000"),
        ({"fixed_array": ["bool", 2]}, [True, False], "0000000100000000"),
        ({"list": ["int", 2]}, [5, 6], "0000000100000005000000010000000600000000"),
        ({"optional": "int"}, None, "00000000"),
        ({"optional": {"optional": "void"}}, [None], "0000000100000000"),
        (point, {"x": 1, "y": 2}, "000000010000000000000002"),
        ({"enum": [1, -3]}, -3, "fffffffd"),
        (pair, {"tag": 1, "value": 9}, "0000000100000009"),
        (pair, {"tag": 6, "value": True}, "0000000600000001"),
        (pair, {"tag": 7, "value": None}, "00000007"),
        (narrow, {"tag": True, "value": "x"}, "000000010000000178000000"),
    ]
    pack_faults = [
        ("int", 2**31, "range"),
        ("uhyper", 2**64, "range"),
        ("uhyper", -1, "range"),
        ("float_value", 1e39, "range"),
        ({"string": 1}, "\u00e9", "bound"),
        ({"string": 9}, "\ud800", "utf8"),
        ({"opaque": 1}, "0102", "bound"),
        ({"opaque_fixed": 1}, "0102", "bound"),
        ({"array": ["int", 1]}, [1, 2], "bound"),
        ({"list": ["int", 1]}, [1, 2], "bound"),
        ({"enum": [1]}, 2, "enum"),
        (narrow, {"tag": False, "value": None}, "union"),
        ("bool", 1, "request"),
        ("float_value", "1.5", "request"),
        ("word", 1, "request"),
    ]
    unpack_faults = [
        ("int", "000000", "eof"),
        ("int", "0000000000", "trailing"),
        ("bool", "00000002", "bool"),
        ({"optional": "void"}, "ffffffff", "optional"),
        ({"list": ["void", 9]}, "00000002", "optional"),
        ({"list": ["void", 1]}, "000000010000000100000000", "bound"),
        ({"opaque": 3}, "0000000301020301", "padding"),
        ({"opaque_fixed": 3}, "01020301", "padding"),
        ({"opaque": 3}, "00000003010203", "eof"),
        ({"opaque": 3}, "ffffffff", "bound"),
        ({"array": ["int", 3]}, "00000003", "eof"),
        ({"array": ["int", 3]}, "00000004", "bound"),
        ({"string": 2}, "00000002c3280000", "utf8"),
        ({"enum": [1]}, "00000002", "enum"),
        (narrow, "00000000", "union"),
        (narrow, "00000002", "bool"),
    ]

    def ask(**request):
        return answer(json.dumps(request))

    for shape, value, packed in both_ways:
        assert ask(shape=shape, value=value) == {"hex": packed}, (shape, value)
        assert ask(shape=shape, hex=packed) == {"value": value}, (shape, packed)
    for shape, value, kind in pack_faults:
        assert ask(shape=shape, value=value).get("error") == kind, (shape, value)
    for shape, packed, kind in unpack_faults:
        assert ask(shape=shape, hex=packed).get("error") == kind, (shape, packed)
    assert answer("no json")["error"] == "request"
    print(f"ok {len(both_ways)} both ways, {len(pack_faults) + len(unpack_faults) + 1} faults")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    elif sys.argv[1:]:
        sys.exit("usage: shapes.py [--self-test]")
    else:
        sys.stdin.reconfigure(encoding="utf-8")
        for line in iter(sys.stdin.readline, ""):
            print(json.dumps(answer(line)), flush=True)


if __name__ == "__main__":
    main()
