# A folder of Parquet files: one job a batch of files, then one that adds what they sum to. `did estimate FOLDER` with
# `--cores` or `--profile` writes what each needs and calls this with the folder's name.
from did.workflow.folder_jobs import Jobs
from did.workflow.launch import unpacked
from did.workflow.plan import record

jobs = Jobs(unpacked(config)["folder"])
made_of = record(jobs.made_of, "did.readers.parquet_shards")


rule all:
    input:
        str(jobs.total),


rule sum:
    message:
        "sum {wildcards.batch}"
    input:
        str(jobs.batch("{batch}")),
        made_of,
    output:
        str(jobs.shard("{batch}")),
    log:
        str(jobs.logs / "{batch}.log"),
    shell:
        "did --log {log:q} sum {input[0]:q} {output:q}"


rule add:
    message:
        "add {jobs.name}"
    input:
        str(jobs.plan),
        [str(jobs.shard(label)) for label in jobs.labels()],
        made_of,
    output:
        str(jobs.total),
    log:
        str(jobs.logs / "total.log"),
    shell:
        "did --log {log:q} sum {input[0]:q} {output:q}"
