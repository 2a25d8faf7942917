#!/bin/sh
#SBATCH --job-name=stargate-m1-0123456789ab
#SBATCH --output="/run/m1.training/attempt-02/log"
#SBATCH --open-mode=append
#SBATCH --no-requeue
#SBATCH --exclusive
#SBATCH --gres=gpu:4
#SBATCH --partition=gpu
#SBATCH --time=12:00:00
# Attempt 2 of the fine-tune m1, written by stargate.
cd '/run/m1'\''s place' || exit 125
export HF_HUB_OFFLINE=1
export NOTE='it'\''s quoted'
export STARGATE_ATTEMPT=/run/m1.training/attempt-02
printf '%s\n' "${SLURM_JOB_ID:-$$}" >/run/m1.training/attempt-02/started.partial && mv -f /run/m1.training/attempt-02/started.partial /run/m1.training/attempt-02/started
(
  set -e
  torchrun --standalone --nproc-per-node 4 /run/m1.training/sft.py --config /run/m1.training/sft.yaml
)
code=$?
printf '%s\n' "$code" >/run/m1.training/attempt-02/exit.partial && mv -f /run/m1.training/attempt-02/exit.partial /run/m1.training/attempt-02/exit
exit "$code"
