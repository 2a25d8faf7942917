"""Freezes golden.json: what Jinja itself renders, set up as transformers does it.

    apt-get install python3-jinja2      (3.1)
    python3 gen.py
    python3 gen.py DIR      DIR/golden.json of the templates DIR/*.jinja, for TestForeign

The templates beside this file are short ones in the manner of the families they are named
after, written for these tests; nano is the Go constant.
"""
import json
import pathlib
import re
import sys

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

here = pathlib.Path(__file__).parent
folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
templates = {p.stem: p.read_text() for p in sorted(folder.glob("*.jinja"))}
if folder == here:
    templates["nano"] = re.search(r"const Nano = `(.*)`", (here.parent / "chattemplate.go").read_text()).group(1)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception


def chat(roles, *contents):
    names = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": names[r], "content": c} for r, c in zip(roles, contents, strict=True)]


chats = [
    chat("u", "Hi."),
    chat("ua", "Hi.", "What would you like?"),
    chat("uaua", "Plan a trip.", "Where to?", "Rome.\n\nIn spring.", "Done."),
    chat("uauau", "1", "2", "3", "4", "5"),
    chat("su", "Ask one question.", "Hello there."),
    chat("suaua", "Be brief.", "Hello.", "Hi!", "Bye.", "Bye!"),
    chat("au", "I begin.", "No."),
    chat("uu", "Once.", "Twice."),
    chat("ua", "  spaces  ", "\n\nlines\n\n"),
    chat("ua", "", ""),
    chat("uaua", "<b>&amp; 'q' \"w\"</b>", "{{ x }} {% y %}", "\\n é🙂 你好", "</s> <|im_end|> [INST] user"),
    chat("uaua", "Why?", "<think>\nhm\n</think>\n\nBecause.", "Why?", "<think>\nhm\n</think>\n\nSo."),
    chat("ua" * 5, *[f"turn {i}" for i in range(10)]),
]

golden = {"chats": chats, "templates": {}}
for name, source in templates.items():
    try:
        template = environment.from_string(source)
    except jinja2.exceptions.TemplateSyntaxError as e:
        print(f"{name} is left out: {e.message}")
        continue
    rows = []
    for messages in chats:
        for prompt in (False, True):
            try:
                rows.append({"text": template.render(messages=messages, tools=None, documents=None, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>")})
            except jinja2.exceptions.TemplateError as e:
                # Of an error that the template did not raise itself, the words are Jinja's own.
                rows.append({"error": e.message} if type(e) is jinja2.exceptions.TemplateError else {"error": "", "failed": e.message})
            except TypeError as e:  # a template that adds a word to a list
                rows.append({"error": "", "failed": str(e)})
    golden["templates"][name] = rows
(folder / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")
print(f"{len(templates)} templates, {len(chats)} chats, jinja2 {jinja2.__version__}")
