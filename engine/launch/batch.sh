
# What follows is the same for every study.
set -u
umask 077  # what is written is the user's alone
program=("${enter[@]}" "${python[@]}")
folder=$(mktemp -d "${RAY_TMPDIR:-/tmp}/rs-$SLURM_JOB_ID-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
printf '%s' "$study" > "$folder/$title.toml"

export OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 PYTHONUNBUFFERED=1 MLFLOW_DISABLE_TELEMETRY=true
export RAY_USAGE_STATS_ENABLED=0 RAY_grpc_client_keepalive_time_ms=10000 RAY_grpc_client_keepalive_timeout_ms=5000
export folder title cpus

# On each node, as one task of a step: signals reach the driver as they were sent, which a shell's children do not see.
node() {
    if [ "$SLURM_PROCID" != 0 ]; then
        folder=$(mktemp -d "${RAY_TMPDIR:-/tmp}/rs-$SLURM_JOB_ID-XXXXXX") || exit 1
        trap 'rm -rf "$folder"' EXIT
    fi
    export TMPDIR=$folder NUMBA_CACHE_DIR=$folder/numba MPLCONFIGDIR=$folder/matplotlib
    "$@"
    code=$?
    [ "$SLURM_PROCID" = 0 ] || exit 0
    [ -e "$folder/driver" ] || code=1  # symmetric-run says 0 where Ray did not start
    echo $code > "$folder/code"
    trap '' TERM
    scancel --signal=TERM "$SLURM_JOB_ID.$SLURM_STEP_ID"  # the other nodes, which would wait a minute for the head
}

# The driver, which tells the batch shell who it is.
drive='echo $$ > "$folder/driver"; cd "$folder" && exec "$@"'
