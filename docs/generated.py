"""Pages of the site that follow from the code, and pages that live beside what they describe."""

import ast
import dataclasses
import inspect
import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click

import zoo
from engine import plugins, schemas
from engine.cli.app import app
from engine.physics.spectra import wimp_si
from engine.stages import battery_schemas
from engine.study.study import Study

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {"scans/README.md": "scans.md", "scans/RESULTS.md": "results.md", "k8s/README.md": "kubernetes.md",
             "README.md": "index.md"}  # fmt: skip
CHOICES = {
    "Statistics": "engine.inference.teststats",
    "Scores": "engine.inference.scores",
    "Families of models": "zoo",
    "Detectors": "engine.physics.detectors",
    "Representations": "engine.physics.representations",
    "Spectra": "engine.physics.spectra",
}
WIMP = wimp_si.SIZE
TABLES = {
    "Results: a row per point, R and statistic": schemas.results(WIMP),
    "Limits": schemas.limits(WIMP),
    "Systematics": schemas.systematics(WIMP),
    "By how well the leakage is known": schemas.leakage(WIMP),
    "Combined: one search out of several": schemas.combined(WIMP),
    "Battery: signals that a search knows nothing of": battery_schemas.battery(WIMP),
    "Diagnostics of classifiers": schemas.CLASSIFIED,
    "Trials of tune": schemas.tuned(WIMP),
    "Observed: statistics": schemas.OBSERVED,
    "Observed: fits of the background": schemas.FITS,
    "Observed: limits": schemas.observed_limits(WIMP),
    "Simulated events": schemas.EVENTS,
    "Events of a user": schemas.USER_EVENTS,
}
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")  # to a file beside the page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what is made of the code, and the guides of `scans` and `k8s`."""
    pages = {"study.md": study(), "choices.md": choices(), "columns.md": columns(), "commands.md": commands()}
    pages["names.md"] = names()
    pages |= {name: _moved((ROOT / path).read_text(), path) for path, name in ELSEWHERE.items() if name != "index.md"}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    files.append(File.generated(config, "quickstart.png", abs_src_path=str(ROOT / "scans" / "quickstart.png")))
    return files


def on_page_markdown(markdown: str, *, page, config: MkDocsConfig, files: Files) -> str:
    """Links of a page to files beside the site's own lead to their copies here."""
    path = f"docs/pages/{page.file.src_uri}"
    return _moved(markdown, path) if (ROOT / path).is_file() else markdown


def _moved(text: str, path: str) -> str:
    """A page's text with its links as the site has them; `path`: where the page lies in the repository."""

    def target(match: re.Match) -> str:
        words, link, anchor = match[1], match[2], match[3] or ""
        place = (ROOT / path).parent.joinpath(link).resolve()
        inside = str(place.relative_to(ROOT)) if place.is_relative_to(ROOT) else link
        if place.is_file() and place.suffix not in (".md", ".png", ".ipynb"):
            return f"{words} (`{inside}`)"  # of the repository, and no page
        page = ELSEWHERE.get(inside) or inside.removeprefix("docs/pages/").removeprefix("scans/")
        return f"[{words}]({page}{anchor})"

    return LINK.sub(target, text)


def study() -> str:
    """Every section and key of a study, from the models that read it."""
    schema = Study.model_json_schema()
    shared = schema["$defs"]
    lines = ["# Every key of a study", "", "Made of the models that read a study. [How a study is written](scans.md) "
             "says when to use which; units are part of names.", "", "## Top level", "",
             *_keys(schema)]  # fmt: skip
    for name, part in shared.items():
        if name != "TPC":
            lines += ["", f"## {name}", "", inspect.cleandoc(part.get("description", "")), "", *_keys(part)]
    lines += ["", "## Constants of a detector", "", "`[detector]` overrides any: `g1 = 0.12`. These have no default of "
              "their own; a detector gives them.", "", *_keys(shared["TPC"])]  # fmt: skip
    return "\n".join(lines) + "\n"


def _keys(part: dict) -> list[str]:
    rows = ["| key | takes | unless said | meaning |", "|---|---|---|---|"]
    required = part.get("required", ())
    for name, field in part.get("properties", {}).items():
        default = "required" if name in required else _code(field.get("default")) if "default" in field else "its own"
        rows.append(f"| `{name}` | {_takes(field)} | {default} | {field.get('description', '')} |")
    return rows if len(rows) > 2 else []


def _code(value: object) -> str:
    if isinstance(value, dict):
        return "its own"
    return "none" if value is None else f"`{json.dumps(value)}`"


def _takes(field: dict) -> str:
    """What a key takes, in words."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{'constants-of-a-detector' if name == 'TPC' else name.lower()})"
    if "anyOf" in field:
        return " or ".join(_takes(one) for one in field["anyOf"] if one.get("type") != "null")
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        inner = field.get("items") or field.get("prefixItems", [{}])[0]
        return f"list of {_takes(inner)}" + (", two" if "prefixItems" in field else "")
    if field.get("type") == "object":
        inner = field.get("additionalProperties") or next(iter(field.get("patternProperties", {}).values()), None)
        return "table" if not isinstance(inner, dict) or not inner else f"table of {_takes(inner)}"
    return " ".join([{"integer": "whole number", "string": "word", "boolean": "true or false"}.get(
        field.get("type"), field.get("type", "anything")), *_bounds(field)])  # fmt: skip


def _bounds(field: dict) -> list[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return [f"{sign} {field[name]:g}" for name, sign in signs.items() if name in field]


def choices() -> str:
    """Every choice that ships: what its file says, and its options."""
    lines = ["# Every choice that ships", "", "A choice is a file; a name in a study is its name. Yours is named by "
             "its path. What such a file must have stands in the docstring of its package ([Python](api.md)).", ""]
    for title, package in CHOICES.items():
        lines += [f"## {title}", ""]
        for name in plugins.names(package):
            module = zoo.declared(name) if package == "zoo" else import_module(f"{package}.{name}")
            lines += [f"### {name}", "", *_docstring(package, name, module), "", *_options(module), ""]
    return "\n".join(lines) + "\n"


def _docstring(package: str, name: str, module: ModuleType) -> list[str]:
    return inspect.cleandoc(module.__doc__ or import_module(f"{package}.{name}").__doc__).splitlines()


def _options(module: ModuleType) -> list[str]:
    """Its options, as a table; the fields of a family's `Config` are those of a model in a study."""
    if fields := getattr(module, "Config", None):
        rows = [f"| `{one.name}` | {_code(one.default)} | |" for one in dataclasses.fields(fields)]
    elif fields := getattr(module, "Options", None):
        known = fields.model_fields.items()
        rows = [f"| `{key}` | {'required' if one.is_required() else _code(one.default)} | {one.description or ''} |"
                for key, one in known]  # fmt: skip
    else:
        rows = []
    return ["| option | unless said | meaning |", "|---|---|---|", *rows] if rows else []


def columns() -> str:
    """Every table of a scan: columns, types, units and meanings, as the files' own schemas have them."""
    lines = ["# Columns of every table", "", "As in the schema of each Parquet file, here of a scan over a "
             "spin-independent cross-section: of another signal, columns of its size have its name.", ""]
    for title, schema in TABLES.items():
        lines += [f"## {title}", "", "| column | type | unit | meaning |", "|---|---|---|---|"]
        lines += [_column(field) for field in schema] + [""]
    return "\n".join(lines) + "\n"


def _column(field: pa.Field) -> str:
    said = {key.decode(): value.decode().replace("|", "\\|") for key, value in (field.metadata or {}).items()}
    return f"| `{field.name}` | {field.type} | {said.get('unit', '')} | {said['meaning']} |"


def names() -> str:
    """Every public name of the packages, with the first sentence that is said of it."""
    lines = ["# Every public name", "", "Modules of `engine` and `zoo` whose names have no underscore, and what they "
             "define.", ""]  # fmt: skip
    for package in ("engine", "zoo"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if not any(part.startswith("_") and part != "__init__" for part in parts):
                lines += _defined(".".join(part for part in parts if part != "__init__"), ast.parse(path.read_text()))
    return "\n".join(lines) + "\n"


def _defined(module: str, tree: ast.Module) -> list[str]:
    kinds = ast.FunctionDef | ast.ClassDef
    public = [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    if not public:
        return []
    rows = [f"| `{_signature(node)}` | {_first(node)} |" for node in public]
    return [f"## {module}", "", _first(tree), "", "| name | |", "|---|---|", *rows, ""]


def _signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    taken = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return f"{node.name}({', '.join(taken)})"


def _first(node: ast.AST) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split()).replace("|", "\\|").replace("[", "\\[")


def commands() -> str:
    """The commands with all their options, as `--help` has them."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="recoilscan", title="Commands")
    return text
