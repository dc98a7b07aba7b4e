#!/usr/bin/env bash
# A folder of pictures, shared among the tasks of an array job, then merged. Start it on a login
# node:
#
#   IMAGES=photos OUT=out/photos TASKS=8 bash devcloud/explain-array.sh
#
# Tasks that failed or were killed: start it again. Nothing is done twice, and nothing is lost.
#
#   IMAGES   a folder, a pattern or a list, as for `keras-backtrack run`
#   OUT      folder for the results, which all nodes see [out/array]
#   TASKS    tasks of the array [4]
#   OPTIONS  options of `keras-backtrack run`, such as "--model vgg19 --part-size 128"
#   NODE     the kind of nodes [any]
#   PPN      processors of a node, where Torque wants to be told
#PBS -l walltime=06:00:00
#SBATCH --time=06:00:00
set -euo pipefail
cd "${PBS_O_WORKDIR:-${SLURM_SUBMIT_DIR:-$PWD}}"
export SCRIPT=devcloud/explain-array.sh
. devcloud/common.sh

export IMAGES=${IMAGES:?is the folder of pictures} OUT=${OUT:-out/array} TASKS=${TASKS:-4}

# The task's share is the parts whose number leaves a rest when divided by TASKS; its processes
# split that further, however many there are on this node.
explain() {
    local count number pids=() failed=0
    count=$(processes)
    for ((number = 0; number < count; number++)); do
        # shellcheck disable=SC2046,SC2086
        $(binding "$number" "$count") "$PYTHON" -m keras_backtrack run \
            --images "$IMAGES" --out "$OUT" \
            --shard "$(($(task) + TASKS * number))/$((TASKS * count))" ${OPTIONS:-} &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=$?; done
    return "$failed"
}

case ${STEP:-} in
    "")
        # shellcheck disable=SC2046
        array=$(submit explain "" $(on_node "${NODE:-}") $(array_of "$TASKS"))
        merge=$(submit merge "$array")
        echo "Submitted: $array explains $IMAGES in $TASKS tasks, then $merge merges $OUT."
        ;;
    explain) explain ;;
    merge) "$PYTHON" -m keras_backtrack merge "$OUT" ;;
esac
