#!/bin/sh
# One of many jobs that score a source together:  sbatch --array=1-100 slurm.sh SOURCE RESULTS
# List it first:  laennec score SOURCE --out RESULTS --list
#SBATCH --job-name=laennec-score
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --requeue
exec laennec score "$1" --out "$2" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
