#!/usr/bin/env python3
"""Makes riverrun/_abi.py from include/riverrun.h: constants, structs and prototypes, so that the header stays their one source.

`generate.py` writes the file; `generate.py --check` fails if what is there is not what the header gives. The header is
cbindgen's, so its shape is known: this is no parser of C.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = HERE.parents[1] / "include" / "riverrun.h"
OUTPUT = HERE / "riverrun" / "_abi.py"

SCALARS = {
    "void": "None",
    "bool": "c_bool",
    "char": "c_char",
    "int": "c_int",
    "size_t": "c_size_t",
    "ssize_t": "c_ssize_t",
    "pid_t": "c_int",
    "rr_code": "c_int32",
    **{f"{sign}int{bits}_t": f"c_{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


class Header:
    """The declarations of the header, each as the Python that says the same."""

    def __init__(self, text: str):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
        self.constants = re.findall(r"^#define (RR_\w+) (.+)$", text, re.M)
        text = re.sub(r"^#.*$", "", text, flags=re.M)
        self.structs = dict(re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", text, re.S))
        self.callbacks = re.findall(r"typedef ([\w ]+?) ?\(\*(\w+)\)\((.*?)\);", text, re.S)
        # Where each is: one may name another that comes before it.
        self.place = {name: text.index(f"}} {name};") for name in self.structs}
        self.place |= {name: text.index(f"(*{name})") for _, name, _ in self.callbacks}
        for name, target in re.findall(r"typedef (\w+) (\w+);", text):
            SCALARS.setdefault(target, SCALARS.get(name, name))
        text = re.sub(r"typedef.*?\{.*?\} \w+;|typedef [^;]*;", "", text, flags=re.S)
        self.functions = re.findall(r"^([\w ]+[ *]+)(rr_\w+)\(([^;]*)\);", text, re.M | re.S)

    def kind(self, declaration: str) -> str:
        """The ctypes type of a declaration without its name."""
        stars = declaration.count("*")
        word = re.sub(r"\b(const|struct)\b|\*", "", declaration).strip()
        if stars == 0 or word in {name for _, name, _ in self.callbacks}:
            return SCALARS.get(word, word)
        if word == "char" and "const" in declaration:
            inner, stars = "c_char_p", stars - 1
        elif word == "void" or (word not in SCALARS and word not in self.structs):
            inner, stars = "c_void_p", stars - 1
        else:
            inner = SCALARS.get(word, word)
        return "POINTER(" * stars + inner + ")" * stars

    def named(self, declaration: str) -> tuple[str, str]:
        """Name and type of a field or a parameter."""
        match = re.fullmatch(r"\s*(.*?)(\w+)(?:\[(\w+)\])?\s*", declaration, re.S)
        assert match, declaration
        kind = self.kind(match[1])
        return match[2], f"{kind} * {match[3]}" if match[3] else kind

    def parameters(self, text: str) -> list[str]:
        text = " ".join(text.split())
        return [] if text in ("", "void") else [self.named(part)[1] for part in text.split(",")]

    def types(self) -> list[str]:
        """Structs and callbacks in the header's order."""
        made = {name: self.struct(name, body) for name, body in self.structs.items()}
        for result, name, parameters in self.callbacks:
            made[name] = ["", f"{name} = CFUNCTYPE({', '.join([self.kind(result), *self.parameters(parameters)])})"]
        return [line for name in sorted(made, key=self.place.__getitem__) for line in made[name]]

    def struct(self, name: str, body: str) -> list[str]:
        fields = [self.named(" ".join(field.split())) for field in body.split(";") if field.strip()]
        lines = ["", "", f"class {name}(Structure):", f'    """`{name}` of the header."""', "", "    _fields_ = ["]
        return lines + [f'        ("{field}", {kind}),' for field, kind in fields] + ["    ]"]


def render(header: Header) -> str:
    lines = [
        '"""The ABI of include/riverrun.h, made from it by generate.py: do not edit."""',
        "",
        "from ctypes import (",
        "    CFUNCTYPE, POINTER, Structure, c_bool, c_char, c_char_p, c_int, c_int8, c_int16, c_int32, c_int64, c_size_t,",
        "    c_ssize_t, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p,",
        ")",
        "",
    ]
    lines += [f"{name} = {value}" for name, value in header.constants]
    lines += header.types()
    lines += ["", "", "#: Every function: name, result, parameters.", "FUNCTIONS = ["]
    for result, name, parameters in header.functions:
        lines.append(f'    ("{name}", {header.kind(result)}, [{", ".join(header.parameters(parameters))}]),')
    return "\n".join([*lines, "]", ""])


def main() -> int:
    made = render(Header(HEADER.read_text()))
    if "--check" not in sys.argv[1:]:
        OUTPUT.write_text(made)
        return 0
    if OUTPUT.read_text() == made:
        return 0
    print("bindings/python/riverrun/_abi.py is not what the header gives: run bindings/python/generate.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
