"""What is generated from the code for the docs: JSON Schemas for editors, and pages of reference.

`did schema --write` writes them; a test compares, so that they cannot drift.
"""

from __future__ import annotations

import inspect
import json
import textwrap
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from did.estimators.registry import Estimator, Option, type_words

HEAD = "<!-- Written by `did schema --write`; change the code instead. -->\n\n"


def models() -> dict[str, type[BaseModel]]:
    """The kinds of config file and their models."""
    from did.project.config import Evaluation
    from did.project.indicator import Indicator
    from did.project.registry import Source

    return {"evaluation": Evaluation, "indicator": Indicator, "source": Source}


def json_schema(which: str) -> str:
    """The JSON Schema of a kind of config file, as text ending in a line break."""
    return json.dumps(models()[which].model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def pages(commands: click.Group) -> dict[str, str]:
    """Everything that is generated, for the command line ``commands``: path within docs/ -> text."""
    schemas = {f"../config/schema/{which}.json": json_schema(which) for which in models()}
    return {**schemas, "reference_config.md": config_page(), "reference_cli.md": command_page(commands),
            "reference_estimators.md": estimators_page()}


def write(folder: str | Path, commands: click.Group) -> list[str]:
    """Write `pages` into ``folder`` and return the paths."""
    from did.store.provenance import write_text

    made = pages(commands)
    for name, text in made.items():
        write_text(Path(folder) / name, text)
    return [str(Path(folder) / name) for name in made]


# Config ---------------------------------------------------------------------------------------------------------


def config_page() -> str:
    """Every key of every config file with its kind, default and description."""
    text = [HEAD + "# Config files\n",
            "YAML, UTF-8. Unknown keys are refused with a suggestion, and all mistakes are reported at once, each with "
            "its line, before anything runs. An editor that reads JSON Schema completes and checks keys while you "
            "type: the files begin with a line that names the schema in `config/schema/`.\n"]
    places = {"evaluation": "`config/NAME.yaml`: an evaluation",
              "indicator": "`config/indicators/NAME.yaml`: an outcome",
              "source": "`config/sources/NAME.yaml`: a source of figures"}
    done: set[str] = set()
    for which, model in models().items():
        text.append(f"\n## {which.capitalize()}\n\n{places[which]}.\n")
        waiting = [model]
        while waiting:
            each = waiting.pop(0)
            if each.__name__ in done:
                continue
            done.add(each.__name__)
            if each is not model:
                text.append(f"\n### {each.__name__}\n")
            rows = [_row(name, field) for name, field in each.model_fields.items()]
            text += [_sentence(each), "\n".join(["| key | kind | default | what |", "|---|---|---|---|", *rows])]
            waiting += [part for field in each.model_fields.values() for part in _models_in(field.annotation)]
    return "\n".join(text) + "\n"


def _sentence(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split()) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    if field.is_required():
        default = "required"
    else:
        value = field.default_factory() if field.default_factory else field.default
        value = value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else value
        default = "none" if value is None or value is PydanticUndefined else f"`{json.dumps(value)}`"
    what = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"| `{name}` | {_kind(field.annotation)} | {default} | {what[:1].upper()}{what[1:]} |"


def _kind(annotation: Any) -> str:
    """What a value is, in words: text, number, list of text, mapping of text to Window."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(parts[0])
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in parts)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(part) for part in parts if part is not type(None)))
    if origin is list:
        return f"list of {_kind(parts[0])}"
    if origin is dict:
        return f"mapping of {_kind(parts[0])} to {_kind(parts[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, "anything")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]


# Command line ---------------------------------------------------------------------------------------------------


def command_page(commands: click.Group) -> str:
    """Every command with its arguments and options, from the help texts."""
    from did.cli.app import Command

    text = [HEAD + "# Command line\n", "`did --help` and `did COMMAND --help` say the same on the screen. Exit codes "
            "are 0 (done), 1 (something is wrong with the data or config, said in a line each) and 2 (wrong usage). "
            "`did completion bash` (or `zsh`, `fish`) prints what makes a shell complete commands and options.\n",
            "## Options of every command\n", "Every command below takes these three after its name, besides `--help`; "
            "the tables of the commands do not repeat them.\n", _options(Command("any").params),
            "With `--json` each line of standard output is one object with a key `event`: `done` (with `command` and "
            "`message`), `step` of a run or `stopped`, `estimate`, `power`, `note`, `error` (with `message`; exit code "
            "1, or 2 for wrong usage) and `ended` (with `exit_code`). Numbers keep all their digits. `did schema` and "
            "`did indicator check` print their document in one line instead.\n"]
    return "\n".join([*text, *_command("did", commands, 2)]) + "\n"


def _command(name: str, command: click.Command, level: int) -> list[str]:
    context = click.Context(command, info_name=name)
    prose, _, examples = (command.help or "").partition("\b\n")
    arguments = " ".join(each.make_metavar(context) for each in command.params if isinstance(each, click.Argument))
    lines = [f"{'#' * level} {name}\n", f"`{name}{f' {arguments}' if arguments else ''}`\n",
             " ".join(inspect.cleandoc(prose).split()).replace("<", "&lt;") + "\n"]
    if examples:
        lines.append(f"```sh\n{textwrap.dedent(examples).strip()}\n```\n")
    help_option = command.get_help_option(context)
    options = [each for each in command.get_params(context) if isinstance(each, click.Option) and not each.hidden
               and each.name not in ("quiet", "verbose", "as_json", help_option and help_option.name)]
    if options:
        lines.append(_options(options))
    if isinstance(command, click.Group):
        for each in sorted(word for word, own in command.commands.items() if not own.hidden):
            lines += _command(f"{name} {each}", command.commands[each], level + 1 if level > 2 else 2)
    return lines


def _options(options: list[click.Option]) -> str:
    records = [each.get_help_record(click.Context(click.Command("any"))) for each in options]
    cells = [(flag.replace("|", "\\|"), " ".join(words.split()).replace("|", "\\|")) for flag, words in records]
    return "| option | what |\n|---|---|\n" + "\n".join(f"| `{flag}` | {words} |" for flag, words in cells) + "\n"


# Estimators -----------------------------------------------------------------------------------------------------

KINDS = {"one effect": "one effect", "by event time": "effects by event time",
         "by cohort and period": "effects by cohort and period, and their averages",
         "before treatment": "differences before treatment, which are no effects"}


def estimators_page() -> str:
    """Every registered estimator with what it gives, needs and takes, and how to register another."""
    from did.estimators import entries

    yes = {True: "yes", False: "no"}
    heads = ["name", "label", "gives", "one overall effect", "needs", "each cohort from its own date",
             "fitted by default in"]
    rows = [[f"[`{name}`](#{name})", each.label, KINDS[each.kind], yes[each.overall], ", ".join(each.needs) or "-",
             yes[each.own_dates], ", ".join(f"`did {command}`" for command in each.defaults) or "-"]
            for name, each in entries().items()]
    text = [HEAD + "# Estimators\n",
            "What the names in `estimators` and `staggered_estimators` of an evaluation and in `--estimator` mean. "
            "Formulas are in [methods.md](methods.md).\n", _grid(heads, rows)]
    for name, each in entries().items():
        words = {"unit": "unit", "units": "units"}
        text.append(f"## {name}\n\n{each.words.summary.format(**words)} Source: {each.words.source.rstrip('.')}.\n")
        if each.overall is False and each.averaged_by:
            text.append(f"It has no average of its own; tables show the one effect of `{each.averaged_by}` for it.\n")
        if each.options:
            text.append(_grid(["option", "type", "default", "what"],
                              [_option(each, option) for option in each.options]))
    text.append(ADD)
    return "\n".join(text)


def _option(each: Estimator, option: Option) -> list[str]:
    kind = ", ".join(f"`{word}`" for word in option.choices) or type_words(option.type)
    default = each.parameters.get(option.of_fit) if option.of_fit else None
    if isinstance(default, tuple):
        default = ", ".join(map(str, default))
    return [f"`--{option.on_command_line}`", kind, "-" if default in (None, "") else f"`{default}`",
            f"{option.what[:1].upper()}{option.what[1:]}"]


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


ADD = """## Add an estimator

An estimator is a function of a panel that returns a `Result` (`did.estimators.base`), and an entry that says what the
rest of the package has to know of it. It can be in a package of your own:

```python
from did.estimators import Estimator, Option, Panel, Result, Words

def fit(panel: Panel, *, periods: int = 3) -> Result: ...

ENTRY = Estimator(
    name="my_estimator", label="My estimator", kind="by event time", fit=fit, base="last",
    own_options=(Option("periods", int, "periods before treatment to average over", at_least=1),),
    words=Words(summary="What it does and takes for granted.", source="Paper, equation"))
```

and in that package's `pyproject.toml`:

```toml
[project.entry-points."did.estimators"]
my_estimator = "my_package:ENTRY"
```

Once the package is installed, the name can be used in `estimators` and `staggered_estimators`, in `did estimate` (with
its options) and, if it has one overall effect, in `did sweep`. A run shows it in the table of estimates, in the figures
of its kind and on every page that names estimators. Within a Python session, `did.estimators.register(ENTRY)` does
the same. What each field of an entry means is in `did.estimators.registry`. The diagnostics that need a regression,
as the wild bootstrap, are reported as skipped unless the entry has a `design`.
"""
