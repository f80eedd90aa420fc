
# What follows is the same for every study.
set -u
base=${RAY_TMPDIR:-/tmp}
[ ${#base} -le 20 ] || base=/tmp  # a socket's path may have 107 letters, of which Ray takes 70
folder=$(mktemp -d "$base/rs-$SLURM_JOB_ID-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
printf '%s' "$study" > "$folder/$title.toml"
restarts=${SLURM_RESTART_COUNT:-0}
# an element by its own name: the number of one of them is that of the whole array
job=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
echo "recoilscan: job $job begins on $SLURM_JOB_NODELIST, requeued $restarts times"

export base folder form OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 PYTHONUNBUFFERED=1 MLFLOW_DISABLE_TELEMETRY=true
export RAY_USAGE_STATS_ENABLED=0 RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0 RAY_task_oom_retries=1
# a host that falls silent would else stall all for five minutes
export RAY_grpc_client_keepalive_time_ms=10000 RAY_grpc_client_keepalive_timeout_ms=5000
export RAY_gcs_server_port_wait_time_s=120 RAY_agent_register_timeout_ms=300000
export RAY_worker_register_timeout_seconds=300 RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300  # a busy node starts slowly
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0  # else nodes would ask a head that has ended, for half a minute
cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}

command=("${python[@]}" -m engine "$verb" "$folder/$title.toml" "${options[@]}")
case $form in
cluster)
    # the address by which the second node sees this one, of as many networks as there are
    other=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 2p)
    here='import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((sys.argv[1], 9))
print(s.getsockname()[0])'
    address=$(${enter[@]+"${enter[@]}"} "${python[@]}" -c "$here" "$other"):$((20000 + SLURM_JOB_ID % 10000))
    # made here, so that Slurm's own records do not have it; steps get it in their environment
    RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
    export RAY_AUTH_MODE=token RAY_AUTH_TOKEN address
    command+=(--address "$address") ;;
local) command+=(--workers "$cpus") ;;
array) command+=(--share "$SLURM_ARRAY_TASK_ID/$elements") ;;
alone) ;;  # in one process
esac

# On every node. The driver is of the first one, where this script is, which knows it by its number in a file.
on_node() {
    trap : TERM  # at the end of the job what was started ends first
    if [ "$SLURM_PROCID" != 0 ]; then
        folder=$(mktemp -d "$base/rs-$SLURM_JOB_ID-XXXXXX") || exit 1
        trap 'rm -rf "$folder"' EXIT
    fi
    export TMPDIR=$folder RAY_TMPDIR=$folder NUMBA_CACHE_DIR=$folder/numba MPLCONFIGDIR=$folder/matplotlib
    local code driver='echo $$ > "$folder/driver"; exec "$@"'
    local run=(bash -c "$driver" driver "$@")
    [ "$form" = cluster ] && run=(ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES"
        --temp-dir "$folder/ray" --num-cpus "${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}" -- "${run[@]}")
    for _ in 1 2 3; do
        "${run[@]}"
        code=$?
        # a node that is not the first one is told to end; one that ends by itself did not start
        if [ "$SLURM_PROCID" = 0 ] || [ $code -gt 128 ]; then break; fi
    done
    [ "$form" = cluster ] && [ $code -gt 128 ] && ray stop --force &> /dev/null  # else it would outlive its parent
    [ "$SLURM_PROCID" = 0 ] || return 0
    [ -e "$folder/driver" ] || code=1  # symmetric-run ends with 0 where Ray did not start
    echo "$code" > "$folder/code"
}

deadline='' never=$((2**62))
cut() {
    echo "recoilscan: the wall time is near"
    deadline=$((SECONDS + 60))
    kill -INT "$(cat "$folder/driver" 2> /dev/null)" 2> /dev/null || deadline=$SECONDS  # it has not begun
}
trap cut USR1

# As one step, whose tasks have signals as they were sent: what a shell starts beside itself ignores SIGINT.
run_step() {
    srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --cpus-per-task="$cpus" --kill-on-bad-exit=0 \
        ${enter[@]+"${enter[@]}"} bash -c "$(declare -f on_node); on_node \"\$@\"" on_node "${command[@]}" &
    local step=$!
    until [ -e "$folder/code" ] || ! kill -0 $step 2> /dev/null || [ $SECONDS -ge "${deadline:-$never}" ]; do
        sleep 1 &
        wait $!
    done
    scancel --quiet --signal=TERM "$job"  # its other nodes, which would wait a minute for their head
    for _ in {1..40}; do
        kill -0 $step 2> /dev/null || break
        sleep 1
    done
}

for attempt in 1 2 3; do
    run_step
    if [ "$form" != cluster ] || [ -e "$folder/driver" ] || [ "$deadline" ] || [ $attempt = 3 ]; then break; fi
    echo "recoilscan: Ray did not start: again, by another port"
    rm -rf "$folder/code" "$folder/ray"
    address=${address%:*}:$((20000 + (SLURM_JOB_ID + 1000 * attempt) % 10000))
    command[-1]=$address
done
code=$(cat "$folder/code" 2> /dev/null || echo 1)
# 130 of a driver that ended in order; none, or a signal's, where that took too long: the store has what is done
if [ "$deadline" ] && { [ ! -e "$folder/driver" ] || [ ! -e "$folder/code" ] || [ "$code" -gt 3 ]; }; then
    if [ "$restarts" -ge 100 ]; then
        echo "recoilscan: requeued 100 times, and not again; launch again to resume"
    else
        rm -rf "$folder"
        echo "recoilscan: job $job requeued, to go on from the store"  # before Slurm ends this attempt
        scontrol requeue "$job" && sleep 60
        echo "recoilscan: Slurm takes no requeue; launch again to resume"
    fi
fi
echo "recoilscan: job $job ended with exit code $code"
exit "$code"
