"""Freezes golden.json: what Python's Jinja renders of the templates in cases.txt, or that it fails.

    apt-get install python3-jinja2      (3.1)
    python3 gen.py

Cases are separated by lines of ===. The settings are those of transformers.
"""
import json
import pathlib

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

here = pathlib.Path(__file__).parent
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment.filters["tojson"] = tojson
variables = {
    "messages": [{"role": "user", "content": "Hi, Ä <b>!"}, {"role": "assistant", "content": " two\nlines "}],
    "tools": None, "n": 7, "f": 2.5, "s": "Hello World", "u": "ǆ ß é\u00a0🙂", "l": [3, 1, 2], "d": {"b": 1, "a": [True, None, "x'y"]}, "yes": True,
}
rows = []
for case in (here / "cases.txt").read_text().removesuffix("\n").split("\n===\n"):
    try:
        rows.append({"source": case, "text": environment.from_string(case).render(**variables)})
    except Exception as e:
        rows.append({"source": case, "error": f"{type(e).__name__}: {e}"})
(here / "golden.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
print(len(rows), "cases,", sum("error" in r for r in rows), "fail, jinja2", jinja2.__version__)
