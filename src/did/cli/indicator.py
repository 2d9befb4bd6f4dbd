"""`did indicator`: outcomes of one's own."""

from __future__ import annotations

import sys
from typing import Any

import click

from did.cli.app import State, data_option, main, say


@main.group()
def indicator() -> None:
    """Add an outcome of your own from a file, and see what would become of it.

    \b
    did indicator new ae_four_hour --file mydata/ae.csv --numerator-column within --denominator-column attendances
    did indicator check ae_four_hour
    did run
    """


@indicator.command(name="new", context_settings={"max_content_width": 110})
@click.argument("name")
@click.option("--file", metavar="FILE", help="CSV file or Excel workbook with the figures.")
@click.option("--reader", type=click.Choice(["tidy_csv", "excel_table", "fingertips_csv"]), help="Default: seen from "
              "the file.")
@click.option("--sheet", metavar="NAME", help="Excel: the sheet; needed if there are several.")
@click.option("--header-row", type=click.IntRange(1), metavar="N", help="Row of the header. Default: seen.")
@click.option("--encoding", metavar="NAME", help="CSV: default UTF-8, else cp1252.")
@click.option("--area-column", metavar="COLUMN", help="Column of the areas' codes. Default: seen.")
@click.option("--area-type", metavar="TYPE", help="practice, ccg, icb_sub_location, stp, lower_tier or upper_tier. "
              "Default: seen from the codes.")
@click.option("--parent-column", metavar="COLUMN", help="Column of each row's CCG, where the areas are practices.")
@click.option("--period-column", metavar="COLUMN", help="Column of the periods. Default: seen; not needed where each "
              "period has a column.")
@click.option("--frequency", type=click.Choice(["M", "Q", "Y", "FY"]), help="FY: financial years, 2017/18. "
              "Default: seen.")
@click.option("--numerator-column", metavar="COLUMN", help="Column of the counts.")
@click.option("--denominator-column", metavar="COLUMN", help="Column that the counts are divided by.")
@click.option("--denominator-file", metavar="FILE", help="A second file with the denominators.")
@click.option("--denominator-sheet", metavar="NAME", help="Excel: the sheet of the second file.")
@click.option("--value-column", metavar="COLUMN", help="Column of a rate that has no counts.")
@click.option("--indicator-id", metavar="NUMBER", help="Fingertips: Indicator ID. Default: the only one.")
@click.option("--area-type-in-file", metavar="WORDS", help="Fingertips: Area Type. Default: the only one.")
@click.option("--sex", help="Fingertips. Default: Persons, or the only one.")
@click.option("--age", help="Fingertips. Default: the only one.")
@click.option("--period-kind", metavar="KIND", help="Fingertips: year, financial_year, 3_years, quarter or month.")
@click.option("--per", type=float, metavar="N", help="The outcome is numerator / denominator x N. Default: 100.")
@click.option("--unit", metavar="WORDS", help="Unit of the outcome, such as '% of attendances'.")
@click.option("--direction", type=click.Choice(["higher_better", "lower_better", "none"]), help="Default: none.")
@click.option("--leave-out", metavar="CODE", multiple=True, help="Code in the figures that is no area of the panel, "
              "such as a total; may be given several times.")
@click.option("--title", metavar="WORDS", help="Default: from the name.")
@click.option("--label", metavar="WORDS", help="Short label for axes. Default: the title.")
@click.option("--family", metavar="NAME", help="Family of outcomes it is shown with; a new one is made. Default: its "
              "own name.")
@click.option("--family-title", metavar="WORDS", help="Title of a new family. Default: the title.")
@click.option("--publisher", metavar="WORDS", help="Who publishes the figures. Default: unknown.")
@click.option("--licence", metavar="WORDS", help="Licence of the file. Default: unknown.")
@click.option("--page", metavar="ADDRESS", help="The publisher's page. Default: unknown.")
@click.option("--first", metavar="PERIOD", help="First period of the panel. Default: of the file.")
@click.option("--last", metavar="PERIOD", help="Last period of the panel. Default: of the file.")
@click.option("--replace", is_flag=True, help="Write over the config of an indicator of this name.")
@click.pass_obj
def indicator_new(state: State, name: str, replace: bool, **given: Any) -> None:
    """Write the config of a new indicator NAME; the next run includes it.

    What is not given is seen from the file, or asked for at a terminal.

    \b
    did indicator new ae_four_hour --file ae.csv --numerator-column within --denominator-column attendances
    did indicator new waiting --file rates.xlsx --unit "% of patients"
    did indicator new smoking --file fingertips.csv
    """
    from did.stages import indicator as stage

    def ask(key: str, words: str, default: Any) -> str:
        return click.prompt(f"{words} (--{key.replace('_', '-')})", default="" if default is None else default,
                            show_default=default not in (None, ""), err=True)

    state.finish(stage.create(name, given, config=state.config, replace=replace,
                              ask=ask if sys.stdin.isatty() else None))


@indicator.command(name="check")
@click.argument("name")
@data_option
@click.option("--offline", is_flag=True, help="Never open a network connection.")
@click.option("--accept", is_flag=True, help="Note the new checksum of a file of your own that you changed.")
@click.pass_obj
def indicator_check(state: State, name: str, data: str | None, offline: bool, accept: bool) -> None:
    """Say what the figures of NAME would become, and what would stop them; exit code 1 if something would.

    \b
    did indicator check ae_four_hour
    did indicator check ae_four_hour --json
    """
    from did.stages import indicator as stage

    as_json = state.output == "json"
    text, good = stage.check(name, config=state.config, data=data, offline=offline, accept=accept, as_json=as_json)
    say(text) if as_json else state.finish(text)
    sys.exit(0 if good else 1)
