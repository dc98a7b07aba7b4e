#!/usr/bin/env bash
# A folder of pictures on a Ray cluster of the nodes of one job. Submit it:
#
#   export IMAGES=photos OUT=out/photos
#   sbatch --nodes=4 --export=ALL devcloud/ray-cluster.sh            # Slurm
#   qsub -V -l nodes=4:gold6128:ppn=2 devcloud/ray-cluster.sh        # Torque
#
# Needs the extra 'ray' (EXTRAS=demo,run,ray bash devcloud/setup.sh). Killed, or out of time: submit
# it again, it goes on.
#
#   IMAGES   a folder, a pattern or a list, as for `keras-backtrack run`
#   OUT      folder for the results [out/ray]
#   ACTORS   processes that explain [one for about four CPUs]
#   OPTIONS  further options of `keras-backtrack run`
#   PORT     of the head [6379]
#PBS -N kb-ray
#PBS -j oe
#PBS -l walltime=06:00:00
#SBATCH --job-name=kb-ray
#SBATCH --time=06:00:00
#SBATCH --ntasks-per-node=1
set -euo pipefail
cd "${PBS_O_WORKDIR:-${SLURM_SUBMIT_DIR:-$PWD}}"
. devcloud/common.sh

RAY=("$PYTHON" -m ray.scripts.scripts)
export PORT=${PORT:-6379}
CPUS=${CPUS:-${SLURM_CPUS_ON_NODE:-${PBS_NUM_PPN:-$(nproc)}}}
parts=$(processes)

# Nobody is told of what runs here, and nothing is left to wait for when it ends.
export RAY_USAGE_STATS_ENABLED=0 RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0

# Starts Ray on the I-th NUMA node of this host, with its share of the CPUs: start I OPTION... What
# Ray starts, the actors too, stays there. They pass paths and rows, which takes little memory.
start() {
    local number=$1 log waited
    shift
    log=$(mktemp)
    # shellcheck disable=SC2046,SC2086
    $(binding "$number" "$parts") "${RAY[@]}" start "$@" --block \
        --num-cpus=$((CPUS > parts ? CPUS / parts : 1)) --object-store-memory=500000000 \
        > "$log" 2>&1 &
    # Several that start at once on a host get in each other's way.
    for ((waited = 0; waited < 600; waited++)); do
        if grep -q "Ray runtime started" "$log" || ! kill -0 $! 2>/dev/null; then break; fi
        sleep 0.1
    done
    if ! grep -q "Ray runtime started" "$log"; then cat "$log" >&2; fi
    rm -f "$log"
}

# Has this host's NUMA nodes, from the I-th on, join the head's: join I.
join() {
    local number
    for ((number = $1; number < parts; number++)); do
        start "$number" --address="$HEAD:$PORT"
    done
}

end() {
    local running
    running=$(jobs -p)
    # shellcheck disable=SC2086
    if [ -n "$running" ]; then kill $running 2>/dev/null || true; fi
    wait || true
}

if [ "${STEP:-}" = worker ]; then
    trap end EXIT
    join 0
    wait
    exit
fi

IMAGES=${IMAGES:?is the folder of pictures} OUT=${OUT:-out/ray}
export TF_ENABLE_ONEDNN_OPTS=${TF_ENABLE_ONEDNN_OPTS:-1}
HEAD=$(hostname)
export HEAD

# Ray listens on every interface of these nodes. Who knows the token may use it: this job, whose
# nodes see the file, and nobody else, whatever the folder lets others read.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=
RAY_AUTH_TOKEN_PATH=$(mktemp "$PWD/.ray-token.XXXXXX")
chmod 600 "$RAY_AUTH_TOKEN_PATH"
"$PYTHON" -c "import secrets; print(secrets.token_hex(32), end='')" > "$RAY_AUTH_TOKEN_PATH"

# Runs this script on each of the other nodes, as a worker in the foreground there.
start_workers() {
    local node worker variable
    if [ -n "${SLURM_JOB_ID:-}" ]; then
        if [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ]; then
            STEP=worker srun --overlap --cpu-bind=none --nodes=$((SLURM_JOB_NUM_NODES - 1)) \
                --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="${SLURMD_NODENAME:-$HEAD}" \
                bash devcloud/ray-cluster.sh &
        fi
        return
    fi
    printf -v worker 'cd %q && STEP=worker' "$PWD"
    for variable in HEAD PORT CPUS PYTHON RAY_AUTH_MODE RAY_AUTH_TOKEN_PATH; do
        printf -v worker '%s %s=%q' "$worker" "$variable" "${!variable}"
    done
    while read -r node; do
        if [ "${node%%.*}" != "${HEAD%%.*}" ]; then
            ssh -n -o BatchMode=yes "$node" "$worker bash devcloud/ray-cluster.sh" &
        fi
    done < <(sort -u "${PBS_NODEFILE:-/dev/null}")
}

nodes=${SLURM_JOB_NUM_NODES:-$(sort -u "${PBS_NODEFILE:-/dev/null}" | grep -c . || true)}
# Ends this head and these workers; `ray stop` would end every cluster of the host.
trap 'end; rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
start 0 --head --port="$PORT" --include-dashboard=false
join 1
start_workers

# Waits until all of Ray is there, for two minutes at most; then goes on with what is.
"$PYTHON" - "$HEAD:$PORT" "$((nodes > 0 ? nodes * parts : parts))" <<'PYTHON'
import logging
import sys
import time

import ray

end = time.monotonic() + 120
while not ray.is_initialized():
    try:
        ray.init(sys.argv[1], logging_level=logging.ERROR)
    except ConnectionError:
        if time.monotonic() > end:
            raise
        time.sleep(1)
while (count := sum(node["Alive"] for node in ray.nodes())) < int(sys.argv[2]):
    if time.monotonic() > end:
        break
    time.sleep(1)
cpus = int(ray.cluster_resources()["CPU"])
print(f"{count} of {sys.argv[2]} Ray nodes, {cpus} CPUs", flush=True)
PYTHON

# shellcheck disable=SC2086
"$PYTHON" -m keras_backtrack run --images "$IMAGES" --out "$OUT" --engine ray \
    --address "$HEAD:$PORT" ${ACTORS:+--actors "$ACTORS"} ${OPTIONS:-}
"$PYTHON" -m keras_backtrack merge "$OUT"
