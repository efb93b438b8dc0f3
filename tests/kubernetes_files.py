"""Read YAML as far as examples/kubernetes/ uses it, and check a document against a schema of Kubernetes' kind.

The YAML: mappings and lists by indentation, flow lists of strings, plain and double-quoted scalars, `|` blocks,
comments.
"""

import json
import re

KEY = re.compile(r"([\w./-]+):(?: +(.*))?")
INTEGER_OR_TEXT = "x-kubernetes-int-or-string"


def documents(text):
    """Return the documents of a YAML file, made of dicts, lists, strings, numbers and booleans."""
    return [_block(_lines(part)) for part in re.split(r"^---$", text, flags=re.M)]


def _lines(text):
    """Return [[indentation, text]] without comments and empty lines; those of `|` blocks keep theirs."""
    found, block = [], None
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        if block is not None and line.strip() and indent <= block:
            block = None
        if block is None:
            line = re.sub(r"(^|\s+)#.*$", "", line).rstrip()
            if not line:
                continue
            assert "\t" not in line, line
            if line.endswith("|"):
                block = indent
        found.append([indent, line[indent:]])
    return found


def _block(lines):
    """Take from `lines` those that have the first one's indentation or more, and return their value."""
    indent, is_list, made = lines[0][0], lines[0][1].startswith("- "), None
    made = [] if is_list else {}
    while lines and lines[0][0] >= indent:
        assert lines[0][0] == indent, lines[0]
        text = lines[0][1]
        if is_list:
            assert text.startswith("- "), text
            if text == "- |" or not KEY.fullmatch(text[2:]):
                lines.pop(0)
                made.append(_value(text[2:], indent, lines))
            else:
                lines[0] = [indent + 2, text[2:]]
                made.append(_block(lines))
            continue
        lines.pop(0)
        key, rest = KEY.fullmatch(text).groups()
        assert key not in made, key
        made[key] = _value(rest, indent, lines)
    return made


def _value(text, indent, lines):
    if text == "|":
        inside = []
        while lines and (lines[0][0] > indent or not lines[0][1].strip()):
            inside.append(lines.pop(0))
        least = min(spaces for spaces, words in inside if words)
        return "\n".join(" " * (spaces - least) + words for spaces, words in inside).rstrip("\n") + "\n"
    if text is None:
        return _block(lines)
    if text[0] in '["':
        return json.loads(text)
    if re.fullmatch(r"-?\d+|true|false", text):
        return json.loads(text)
    assert text[0] not in "{&*!'>%@`", text
    return text


def problems(schema, value, at=""):
    """Return what the schema of a custom resource definition doesn't allow in `value`: "PATH: what"."""
    if schema.get(INTEGER_OR_TEXT):
        return [] if isinstance(value, (int, str)) else [f"{at}: {value!r}"]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}
    kind = schema.get("type")
    if kind and (not isinstance(value, kinds[kind]) or kind != "boolean" and isinstance(value, bool)):
        return [f"{at}: {value!r} isn't of the type {kind}"]
    found = [f"{at}: {value!r} isn't one of {schema['enum']}"] if value not in schema.get("enum", [value]) else []
    if kind == "string" and not re.search(schema.get("pattern", ""), value):
        found.append(f"{at}: {value!r} isn't {schema['pattern']}")
    if kind in ("integer", "number") and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{at}: {value!r} is out of range")
    if kind == "array":
        for index, item in enumerate(value):
            found += problems(schema.get("items", {}), item, f"{at}[{index}]")
    if kind == "object":
        found += [f"{at}.{name}: is missing" for name in schema.get("required", ()) if name not in value]
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            if name in known or others is not None:
                found += problems(known.get(name, others), item, f"{at}.{name}")
            elif known and not schema.get("x-kubernetes-preserve-unknown-fields"):
                found.append(f"{at}.{name}: isn't in the schema")
    return found
