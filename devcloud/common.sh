# shellcheck shell=bash
# What the job scripts share. They source it from the project's folder, where they are submitted.

PYTHON=${PYTHON:-.venv/bin/python}
LOGS=${LOGS:-out/logs}

# Starts the next step of a script: submit STEP AFTER [OPTION...], OPTIONs the scheduler's own.
# AFTER is empty, or what `submit` printed for the jobs to wait for, joined by colons. The step
# finds its name in $STEP, and the whole environment. Prints the job's number.
submit() {
    local step=$1 after=$2 name
    name=$(basename "$SCRIPT" .sh)-$step
    shift 2
    mkdir -p "$LOGS"
    if command -v sbatch >/dev/null; then
        STEP=$step sbatch --parsable --job-name="$name" --output="$LOGS/%x-%j.out" --export=ALL \
            ${after:+--dependency=afterok:$after --kill-on-invalid-dep=yes} "$@" "$SCRIPT"
    elif command -v qsub >/dev/null; then
        STEP=$step qsub -V -N "${name:0:15}" -j oe -o "$LOGS" \
            ${after:+-W depend=$(after_ok "$after")} "$@" "$SCRIPT"
    else
        echo "Neither sbatch nor qsub is here: run this where jobs are submitted." >&2
        return 1
    fi
}

# Torque knows arrays by another word; they have brackets in their number.
after_ok() {
    case $1 in
        *"[]"*) is_pbs_pro && echo "afterok:$1" || echo "afterokarray:$1" ;;
        *) echo "afterok:$1" ;;
    esac
}

is_pbs_pro() { qsub --version 2>&1 | grep -qi pbs_version; }

# The options that ask for a node of a kind (a property of Torque, a feature of Slurm), and for
# tasks 1 to N of an array.
on_node() {
    if [ -z "$1" ]; then return; fi
    if command -v sbatch >/dev/null; then
        echo "--constraint=$1"
    else
        echo "-l nodes=1:$1${PPN:+:ppn=$PPN}"
    fi
}

array_of() {
    if command -v sbatch >/dev/null; then
        echo "--array=1-$1"
    elif is_pbs_pro; then
        echo "-J 1-$1"
    else
        echo "-t 1-$1"
    fi
}

# The number of this task, from 1 on.
task() { echo "${SLURM_ARRAY_TASK_ID:-${PBS_ARRAYID:-${PBS_ARRAY_INDEX:-1}}}"; }

# How many processes to run on this node: one for each NUMA node that this job may use.
processes() {
    local nodes node
    nodes=$(numactl --hardware 2>/dev/null | sed -n 's/^available: \([0-9]*\) nodes.*/\1/p')
    for ((node = 0; node < ${nodes:-1}; node++)); do
        if [ "${nodes:-1}" -gt 1 ] && ! numactl -N "$node" -m "$node" true 2>/dev/null; then
            nodes=1
        fi
    done
    echo "${nodes:-1}"
}

# What binds process I of N on this node to its own socket and memory: the start of its command.
binding() {
    if [ "$2" -gt 1 ]; then echo "numactl --cpunodebind=$1 --membind=$1"; fi
}
