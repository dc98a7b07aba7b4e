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
#   ACTORS   processes that explain [one for every four CPUs]
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

IMAGES=${IMAGES:?is the folder of pictures} OUT=${OUT:-out/ray} PORT=${PORT:-6379}
export TF_ENABLE_ONEDNN_OPTS=${TF_ENABLE_ONEDNN_OPTS:-1}
RAY="$PYTHON -m ray.scripts.scripts"
HEAD=$(hostname)
CPUS=${SLURM_CPUS_ON_NODE:-${PBS_NUM_PPN:-$(nproc)}}

# Who knows the token may use the cluster: all nodes of this job, which see the file, and nobody else.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=
RAY_AUTH_TOKEN_PATH=$(mktemp "$PWD/.ray-token.XXXXXX")
"$PYTHON" -c "import secrets; print(secrets.token_hex(32), end='')" > "$RAY_AUTH_TOKEN_PATH"

# Starts a worker on each of the other nodes, and leaves it in the foreground there.
start_workers() {
    local token="RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$RAY_AUTH_TOKEN_PATH"
    local worker="cd $PWD && $token $RAY start --address=$HEAD:$PORT --num-cpus=$CPUS --block"
    if [ -n "${SLURM_JOB_ID:-}" ]; then
        if [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ]; then
            srun --overlap --nodes=$((SLURM_JOB_NUM_NODES - 1)) \
                --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="${SLURMD_NODENAME:-$HEAD}" \
                bash -c "$worker" &
        fi
    else
        for node in $(sort -u "${PBS_NODEFILE:-/dev/null}"); do
            if [ "${node%%.*}" != "${HEAD%%.*}" ]; then
                ssh -o BatchMode=yes "$node" "$worker" &
            fi
        done
    fi
}

nodes=${SLURM_JOB_NUM_NODES:-$(sort -u "${PBS_NODEFILE:-/dev/null}" | grep -c . || true)}
# Ends this head and these workers; `ray stop` would end every cluster of the host.
trap 'kill $(jobs -p) 2>/dev/null || true; wait || true; rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
$RAY start --head --port="$PORT" --num-cpus="$CPUS" --include-dashboard=false --block &
start_workers

# Waits until all nodes are there, for two minutes at most; then goes on with those that are.
"$PYTHON" - "$HEAD:$PORT" "${nodes:-1}" <<'PYTHON'
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
print(f"{count} of {sys.argv[2]} nodes, {int(ray.cluster_resources()['CPU'])} CPUs", flush=True)
PYTHON

# shellcheck disable=SC2086
"$PYTHON" -m keras_backtrack run --images "$IMAGES" --out "$OUT" --engine ray \
    --address "$HEAD:$PORT" ${ACTORS:+--actors "$ACTORS"} ${OPTIONS:-}
"$PYTHON" -m keras_backtrack merge "$OUT"
