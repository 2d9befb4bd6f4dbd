#!/bin/sh
# Installs a one-node Slurm where that can be done (Debian, as root); starts nothing.
set -e
PATH="$PATH:/usr/sbin:/sbin"
for program in munged slurmctld slurmd sbatch; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -z "$missing" ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "error: the cluster test needs Slurm and munge; not found:$missing; as an administrator: apt-get install slurm-wlm munge" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends slurm-wlm slurmctld slurmd slurm-client munge >/dev/null
