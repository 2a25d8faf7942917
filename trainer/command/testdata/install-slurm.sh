#!/bin/sh
# Installs what a one-node Slurm needs, on Debian and its relatives. The tests start the daemons
# themselves, with a configuration and a directory of their own: no service is enabled here.
set -eu
for program in slurmctld slurmd sbatch munged; do
  command -v "$program" >/dev/null || missing=yes
done
[ -z "${missing:-}" ] && exit 0
command -v apt-get >/dev/null || { echo "install Slurm (slurmctld, slurmd, sbatch) and munge first" >&2; exit 1; }
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge
