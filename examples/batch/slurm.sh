#!/bin/bash
# One skim on one node, which goes on in the next job where its time ends. All arguments are those of `hepfilter skim`:
#
#   sbatch examples/batch/slurm.sh @files.txt -o out.root --menu discovery.lock
#
# Many skims, one for each line of datasets.txt, which takes the place of {dataset}:
#
#   sbatch --array=1-12 examples/batch/slurm.sh samples.yaml:{dataset} -o {dataset}.root --menu discovery.lock
#
#SBATCH --job-name=hepfilter
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=hepfilter-%j.log

if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
  dataset=$(sed -n "${SLURM_ARRAY_TASK_ID}p" datasets.txt)
  set -- "${@//\{dataset\}/$dataset}"
fi

trap 'kill -TERM "$!"' TERM                # the job is cancelled, or preempted
trap 'again=yes; kill -TERM "$!"' USR1     # its time ends in 300 s
hepfilter skim "$@" --workers "$SLURM_CPUS_PER_TASK" &
skim=$!
wait "$skim"
code=$?
while kill -0 "$skim" 2> /dev/null; do     # a signal ended the first wait: the skim itself still cleans up
  wait "$skim"
  code=$?
done

if [ -n "${again:-}" ] && [ "$code" -eq 143 ]; then
  scontrol requeue "$SLURM_JOB_ID"         # the same command goes on where this one was ended
fi
exit "$code"
