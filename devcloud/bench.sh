#!/usr/bin/env bash
# Benchmarks on two kinds of nodes, then how they compare. Start it on a login node:
#
#   bash devcloud/bench.sh
#
#   FIRST, SECOND  the kinds of nodes [i7, gold6128]
#   BENCH          options of `python -m benchmarks cost` [--no-loops]
#   OUT            folder for the results [out/bench]
#   PPN            processors of a node, where Torque wants to be told
#PBS -l walltime=02:00:00
#SBATCH --time=02:00:00
set -euo pipefail
cd "${PBS_O_WORKDIR:-${SLURM_SUBMIT_DIR:-$PWD}}"
export SCRIPT=devcloud/bench.sh
. devcloud/common.sh

export FIRST=${FIRST:-i7} SECOND=${SECOND:-gold6128} OUT=${OUT:-out/bench}

measure() {
    mkdir -p "$OUT"
    # One socket: a process that spans two is slower than one on each.
    # shellcheck disable=SC2046,SC2086
    $(binding 0 "$(processes)") "$PYTHON" -m benchmarks cost ${BENCH---no-loops} --out "$OUT/$1.json"
}

case ${STEP:-} in
    "")
        # shellcheck disable=SC2046
        first=$(submit first "" $(on_node "$FIRST"))
        # shellcheck disable=SC2046
        second=$(submit second "" $(on_node "$SECOND"))
        compared=$(submit compare "$first:$second")
        echo "Submitted: $first on $FIRST, $second on $SECOND, then $compared compares them."
        ;;
    first) measure "$FIRST" ;;
    second) measure "$SECOND" ;;
    compare)
        "$PYTHON" -m benchmarks compare "$OUT/$FIRST.json" "$OUT/$SECOND.json" |
            tee "$OUT/comparison.txt"
        ;;
esac
