# The whole workflow: publishers' files -> observations -> panels -> estimates -> diagnostics -> comparison
# with what was published -> tables, figures and a summary. `did run` checks the config and calls this.
# Rules of one `group` are one job of a cluster's queue where they need each other (docs/cluster.md).
from did.workflow.launch import unpacked
from did.workflow.plan import Plan, quoted

settings = unpacked(config)
plan = Plan.load(settings.get("evaluation", "config/ics.yaml"), settings.get("data"))
did = f"did --config={quoted(plan.config_path)} --log={{log:q}}"
data = f"--data={quoted(plan.data)}"
without = f"--without={quoted(','.join(plan.unavailable))}"
flags = " ".join(f"--{flag}" for flag in ("offline", "accept") if settings.get(flag))


def grouped(name):
    """The group, on a cluster: on one machine it means nothing, and Snakemake looks through all of it at each job."""
    return name if settings.get("cluster") else None


def shown(files, **where):
    """The same files; what a reader opens is marked for Snakemake's own report of the run (`snakemake --report`)."""
    opened = (".svg", ".html", ".md", ".xlsx")
    mark = lambda file: report(file, caption=plan.caption, labels={"file": file.rpartition("/")[2]}, **where)
    return [mark(file) if file.endswith(opened) else file for file in files]


rule all:
    input:
        plan.raw_files(),
        plan.results(),
        plan.result_files("manifest"),


# One rule a source, because each has its own list of files.
for source in plan.sources:

    rule:
        name:
            f"fetch_{source}"
        message:
            f"fetch {source}"
        # On a cluster, compute nodes often have no way out: files come by the machine that the run is started on.
        localrule:
            True
        input:
            plan.registry(source),
            plan.modules("did.stages.fetch"),
            plan.maker_modules(source),
        output:
            # `update` keeps what is there, so that only a missing file is fetched again.
            update(plan.raw_files(source)),
        params:
            source=source,
        log:
            f"{plan.paths.logs}/fetch_{source}.log",
        shell:
            f"{did} fetch {{params.source:q}} {data} {flags}"


rule observe:
    message:
        "observe {wildcards.source}"
    group:
        grouped("source")
    input:
        lambda wildcards: plan.raw_files(wildcards.source),
        lambda wildcards: plan.registry(wildcards.source),
        lambda wildcards: plan.reader_modules(wildcards.source),
        lambda wildcards: plan.reader_tables(wildcards.source),
    output:
        f"{plan.paths.data}/interim/observations/{{source}}.parquet",
    log:
        f"{plan.paths.logs}/observe_{{source}}.log",
    shell:
        f"{did} observe {{wildcards.source:q}} {data}"


rule align:
    message:
        "align {wildcards.indicator}"
    group:
        grouped("indicator")
    input:
        lambda wildcards: plan.observations(wildcards.indicator),
        lambda wildcards: plan.numbers_of(wildcards.indicator),
        lambda wildcards: plan.config_part("align", wildcards.indicator),
        plan.reference_files(),
        plan.modules("did.stages.align"),
    output:
        f"{plan.paths.data}/processed/panel/{{indicator}}.parquet",
        f"{plan.paths.data}/processed/area_audit/{{indicator}}.parquet",
    log:
        f"{plan.paths.logs}/align_{{indicator}}.log",
    shell:
        f"{did} align {{wildcards.indicator:q}} {data}"


rule fit:
    message:
        "fit {wildcards.indicator}"
    group:
        grouped("indicator")
    input:
        f"{plan.paths.data}/processed/panel/{{indicator}}.parquet",
        plan.claims_files(),
        lambda wildcards: plan.config_part("fit", wildcards.indicator),
        lambda wildcards: plan.numbers_of(wildcards.indicator),
        plan.modules("did.stages.fit", *plan.estimator_modules("estimators", "staggered_estimators")),
    output:
        f"{plan.paths.data}/processed/estimates/{{indicator}}.parquet",
        f"{plan.paths.data}/processed/influence/{{indicator}}.parquet",
    log:
        f"{plan.paths.logs}/fit_{{indicator}}.log",
    shell:
        f"{did} fit {{wildcards.indicator:q}} {data}"


rule calibrate:
    message:
        "calibrate {wildcards.indicator}"
    group:
        grouped("indicator")
    input:
        f"{plan.paths.data}/processed/panel/{{indicator}}.parquet",
        plan.claims_files(),
        lambda wildcards: plan.config_part("calibrate", wildcards.indicator),
        lambda wildcards: plan.numbers_of(wildcards.indicator),
        plan.modules("did.stages.calibrate", *plan.estimator_modules("estimators", "staggered_estimators")),
    output:
        f"{plan.paths.data}/processed/calibration/{{indicator}}.parquet",
        f"{plan.paths.data}/processed/headline/{{indicator}}.parquet",
    log:
        f"{plan.paths.logs}/calibrate_{{indicator}}.log",
    shell:
        f"{did} calibrate {{wildcards.indicator:q}} {data}"


rule diagnose:
    message:
        "diagnose {wildcards.indicator}"
    group:
        grouped("indicator")
    input:
        f"{plan.paths.data}/processed/panel/{{indicator}}.parquet",
        plan.claims_files(),
        lambda wildcards: plan.config_part("diagnose", wildcards.indicator),
        lambda wildcards: plan.numbers_of(wildcards.indicator),
        plan.reference_files(),
        # Its tests for several onsets are by estimators of their own.
        plan.modules("did.stages.diagnose", *plan.estimator_modules()),
    output:
        f"{plan.paths.data}/processed/diagnostics/{{indicator}}.parquet",
        f"{plan.paths.data}/processed/trends/{{indicator}}.parquet",
        f"{plan.paths.data}/processed/weights/{{indicator}}.parquet",
    log:
        f"{plan.paths.logs}/diagnose_{{indicator}}.log",
    shell:
        f"{did} diagnose {{wildcards.indicator:q}} {data}"


rule specify:
    message:
        "specify {wildcards.indicator}"
    # The longest first; then what others wait for; then what is longer.
    priority: 3
    group:
        grouped("indicator")
    input:
        # Not read, but waited for: what is wrong with the data is found, and said, by align. It costs no rerun, since
        # all that align depends on is below. As ancient(), it would lose some: Snakemake 9 does not look at the other
        # inputs of a job that has an ancient one from a job that is run.
        f"{plan.paths.data}/processed/panel/{{indicator}}.parquet",
        lambda wildcards: plan.observations(wildcards.indicator),
        lambda wildcards: plan.numbers_of(wildcards.indicator),
        plan.claims_files(),
        lambda wildcards: plan.config_part("specify", wildcards.indicator),
        plan.reference_files(),
        plan.modules("did.stages.specify", *plan.estimator_modules("estimators")),
    output:
        f"{plan.paths.data}/processed/specifications/{{indicator}}.parquet",
    log:
        f"{plan.paths.logs}/specify_{{indicator}}.log",
    shell:
        f"{did} specify {{wildcards.indicator:q}} {data}"


rule compare:
    message:
        "compare {wildcards.indicator}"
    group:
        grouped("indicator")
    input:
        f"{plan.paths.data}/processed/estimates/{{indicator}}.parquet",
        plan.claims_files(),
        lambda wildcards: plan.config_part("compare", wildcards.indicator),
        lambda wildcards: plan.numbers_of(wildcards.indicator),
        plan.modules("did.stages.compare"),
    output:
        f"{plan.paths.data}/processed/comparison/{{indicator}}.parquet",
    log:
        f"{plan.paths.logs}/compare_{{indicator}}.log",
    shell:
        f"{did} compare {{wildcards.indicator:q}} {data}"


rule check:
    message:
        "check {wildcards.indicator}"
    group:
        grouped("indicator")
    input:
        f"{plan.paths.data}/processed/panel/{{indicator}}.parquet",
        f"{plan.paths.data}/processed/estimates/{{indicator}}.parquet",
        plan.claims_files(),
        lambda wildcards: plan.config_part("check", wildcards.indicator),
        lambda wildcards: plan.numbers_of(wildcards.indicator),
        plan.modules("did.stages.check"),
    output:
        f"{plan.paths.data}/processed/second_opinion/{{indicator}}.parquet",
    log:
        f"{plan.paths.logs}/check_{{indicator}}.log",
    shell:
        f"{did} check {{wildcards.indicator:q}} {data}"


rule judge:
    message:
        "judge {wildcards.indicator}"
    group:
        grouped("indicator")
    input:
        expand(
            f"{plan.paths.data}/processed/{{table}}/{{{{indicator}}}}.parquet",
            table=["comparison", "headline", "diagnostics", "specifications", "second_opinion"],
        ),
        lambda wildcards: plan.config_part("judge", wildcards.indicator),
        lambda wildcards: plan.numbers_of(wildcards.indicator),
        plan.modules("did.stages.judge"),
    output:
        expand(
            f"{plan.paths.data}/processed/{{table}}/{{{{indicator}}}}.parquet",
            table=["evidence", "evidence_items", "verdicts"],
        ),
    log:
        f"{plan.paths.logs}/judge_{{indicator}}.log",
    shell:
        f"{did} judge {{wildcards.indicator:q}} {data}"


rule adjust:
    message:
        "adjust {wildcards.family}"
    group:
        grouped("family")
    input:
        lambda wildcards: expand(
            f"{plan.paths.data}/processed/{{table}}/{{indicator}}.parquet",
            table=["panel", "estimates", "influence", "comparison", "headline"],
            indicator=plan.families[wildcards.family],
        ),
        lambda wildcards: [plan.numbers_of(indicator) for indicator in plan.families[wildcards.family]],
        lambda wildcards: plan.config_part("adjust", wildcards.family),
        plan.modules("did.stages.adjust", *plan.estimator_modules("estimators")),
    output:
        f"{plan.paths.data}/processed/adjusted_p_values/{{family}}.parquet",
        f"{plan.paths.data}/processed/tested_claims/{{family}}.parquet",
    log:
        f"{plan.paths.logs}/adjust_{{family}}.log",
    shell:
        f"{did} adjust {{wildcards.family:q}} {data} {without}"


# One rule an indicator, because each has its own list of figures.
for indicator in plan.indicators:

    rule:
        name:
            f"draw_{indicator}"
        message:
            f"draw {indicator}"
        group:
            grouped("indicator")
        input:
            expand(
                f"{plan.paths.data}/processed/{{table}}/{indicator}.parquet",
                table=["panel", "area_audit", "estimates", "diagnostics", "trends", "weights", "specifications",
                       "comparison", "headline", "evidence", "evidence_items", "verdicts"],
            ),
            plan.claims_files(),
            plan.reference_files(),
            plan.config_part("draw", indicator),
            plan.indicator_part(indicator),
            [plan.registry(source) for source in plan.sources_of(indicator)],
            plan.modules("did.stages.draw"),
            plan.templates(),
        output:
            shown(plan.result_files("draw", indicator), category="Figures", subcategory=indicator),
            plan.drawn("draw", indicator),
            str(plan.paths.section(indicator)),
        params:
            indicator=indicator,
        # Drawn while other outcomes are still being fitted, not all at the end.
        priority: 2
        log:
            f"{plan.paths.logs}/draw_{indicator}.log",
        shell:
            f"{did} draw {{params.indicator:q}} {data} {without}"


# One rule a family, likewise.
for family, members in plan.families.items():

    rule:
        name:
            f"family_{family}"
        message:
            f"family {family}"
        group:
            grouped("family")
        input:
            expand(
                f"{plan.paths.data}/processed/{{table}}/{{indicator}}.parquet",
                table=["estimates", "headline"],
                indicator=members,
            ),
            plan.claims_files(),
            plan.config_part("family", family),
            plan.family_indicators(family),
            [plan.registry(source) for indicator in members for source in plan.sources_of(indicator)],
            plan.modules("did.stages.family"),
        output:
            shown(plan.result_files("family", family), category="Families", subcategory=family),
            plan.drawn("family", family),
        params:
            family=family,
        priority: 2
        log:
            f"{plan.paths.logs}/family_{family}.log",
        shell:
            f"{did} family {{params.family:q}} {data} {without}"


rule reproduce:
    message:
        "reproduce the published numbers"
    # Short, and the tables wait for it.
    priority: 3
    group:
        grouped("results")
    input:
        expand(
            f"{plan.paths.data}/processed/{{table}}/{{indicator}}.parquet",
            table=["specifications", "evidence", "evidence_items", "verdicts"],
            indicator=plan.indicators,
        ),
        expand(f"{plan.paths.data}/processed/tested_claims/{{family}}.parquet", family=plan.families),
        plan.claims_files(),
        plan.config_part("reproduce"),
        [plan.indicator_part(indicator) for indicator in plan.indicators],
        [plan.registry(source) for source in plan.sources],
        plan.modules("did.stages.reproduce"),
        plan.templates(),
    output:
        shown(plan.result_files("reproduce"), category="What was published"),
        str(plan.paths.published_section),
        str(plan.paths.reproduction),
        str(plan.paths.answers),
    log:
        f"{plan.paths.logs}/reproduce.log",
    shell:
        f"{did} reproduce {data} {without}"


rule tabulate:
    message:
        "tabulate"
    group:
        grouped("results")
    input:
        expand(
            f"{plan.paths.data}/processed/{{table}}/{{indicator}}.parquet",
            table=["area_audit", "estimates", "diagnostics", "weights", "calibration", "headline", "evidence"],
            indicator=plan.indicators,
        ),
        expand(f"{plan.paths.data}/processed/adjusted_p_values/{{family}}.parquet", family=plan.families),
        str(plan.paths.reproduction),
        str(plan.paths.answers),
        plan.config_part("tabulate"),
        [plan.indicator_part(indicator) for indicator in plan.indicators],
        [plan.registry(source) for source in plan.sources],
        plan.modules("did.stages.tabulate"),
    output:
        shown(plan.result_files("tabulate"), category="Tables"),
    log:
        f"{plan.paths.logs}/tabulate.log",
    shell:
        f"{did} tabulate {data} {without}"


rule workbook:
    message:
        "workbook"
    priority: 1
    group:
        grouped("results")
    input:
        expand(
            f"{plan.paths.data}/processed/{{table}}/{{indicator}}.parquet",
            table=["area_audit", "estimates", "diagnostics", "calibration", "headline", "evidence"],
            indicator=plan.indicators,
        ),
        expand(f"{plan.paths.data}/processed/adjusted_p_values/{{family}}.parquet", family=plan.families),
        expand(f"{plan.paths.data}/raw/{{source}}/manifest.json", source=plan.sources),
        str(plan.paths.reproduction),
        str(plan.paths.answers),
        plan.config_part("workbook"),
        [plan.indicator_part(indicator) for indicator in plan.indicators],
        [plan.registry(source) for source in plan.sources],
        plan.modules("did.stages.workbook"),
    output:
        shown(plan.result_files("workbook"), category="Tables"),
    log:
        f"{plan.paths.logs}/workbook.log",
    shell:
        f"{did} workbook {data} {without}"


rule workbench:
    message:
        "workbench"
    priority: 1
    group:
        grouped("results")
    input:
        expand(
            f"{plan.paths.data}/processed/{{table}}/{{indicator}}.parquet",
            table=["specifications", "estimates", "diagnostics", "calibration", "headline", "evidence", "verdicts"],
            indicator=plan.indicators,
        ),
        str(plan.paths.answers),
        plan.config_part("workbench"),
        [plan.indicator_part(indicator) for indicator in plan.indicators],
        plan.modules("did.stages.workbench"),
        plan.templates("workbench"),
        plan.templates(),
    output:
        shown(plan.result_files("workbench"), category="Report"),
    log:
        f"{plan.paths.logs}/workbench.log",
    shell:
        f"{did} workbench {data} {without}"


rule report:
    message:
        "report"
    group:
        grouped("results")
    input:
        expand(
            f"{plan.paths.data}/processed/{{table}}/{{indicator}}.parquet",
            table=["panel", "estimates", "diagnostics", "headline", "area_audit", "second_opinion", "evidence",
                   "evidence_items", "verdicts"],
            indicator=plan.indicators,
        ),
        plan.sections(),
        plan.all_drawn(),
        plan.shown_figures(),
        expand(f"{plan.paths.data}/interim/observations/{{source}}.parquet", source=plan.sources),
        expand(f"{plan.paths.data}/raw/{{source}}/manifest.json", source=plan.sources),
        str(plan.paths.reproduction),
        str(plan.paths.answers),
        [file for family in plan.families for file in plan.result_files("family", family)],
        plan.config_part("report"),
        plan.reference_files(),
        [plan.indicator_part(indicator) for indicator in plan.indicators],
        [plan.registry(source) for source in plan.sources],
        plan.modules("did.stages.report"),
        plan.templates(),
    output:
        shown(plan.result_files("report"), category="Report"),
        plan.answer_drawn(),
    log:
        f"{plan.paths.logs}/report.log",
    shell:
        f"{did} report {data} {without}"


rule manifest:
    message:
        "manifest"
    group:
        grouped("results")
    input:
        plan.last_files(),
        plan.raw_files(),
        plan.config_file,
        plan.settings_files(),
        plan.modules("did.stages.manifest"),
    output:
        # `update` keeps what is there: it says what an earlier run made and this one does not.
        update(plan.result_files("manifest")),
    log:
        f"{plan.paths.logs}/manifest.log",
    shell:
        f"{did} manifest {data} {without}"
