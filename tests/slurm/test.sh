#!/usr/bin/env bash
# A sweep as an array job of a real Slurm, from nothing installed: Debian's
# slurm-wlm and munge, started here in a temporary folder, as root. Four runs; one
# is requeued, one is warned of its time limit and requeues itself, one is killed
# and repeated; all come to the table of a sweep that nothing disturbed.
#
#   tests/slurm/test.sh [SURGE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh
surge=$(realpath "${1:-build-cpu/surge}")
if [ "$(id -u)" != 0 ]; then
  echo "tests/slurm/test.sh: wanted root, which slurmd and munged are started as" >&2
  exit 1
fi
surge_install "${surge_build_packages[@]}" "${surge_slurm_packages[@]}"

folder=$(mktemp -d)
chmod 755 "$folder"

# Whatever has this test's Slurm in its environment, jobs' processes too, however
# they left their parents; rounds, as one may start another meanwhile.
kill_all() { # folder
  local round file found
  export -n SLURM_CONF # not grep itself
  for round in 1 2 3 4 5; do
    found=$(grep -lzsFx "SLURM_CONF=$1/slurm.conf" /proc/[0-9]*/environ) || true
    [ -n "$found" ] || return 0
    for file in $found; do
      file=${file#/proc/}
      kill -9 "${file%/environ}" 2> /dev/null || true
    done
    sleep 0.2
  done
}

# Where this script is killed, no trap runs: then another process cleans up.
setsid bash -c "$(declare -f kill_all)
  tail --pid=$$ -f /dev/null; kill_all '$folder'; rm -rf '$folder'" \
  < /dev/null > /dev/null 2>&1 &

export SLURM_CONF=$folder/slurm.conf
daemons=()
nothing_queued() { # option...: a squeue that fails has not said so
  local rows
  rows=$(timeout 10 squeue -h "$@") && [ -z "$rows" ]
}

# Jobs end before the daemons that end them.
finish() {
  local code=$? end=$((SECONDS + 20))
  if [ "$code" != 0 ]; then
    tail -n 20 "$folder"/*.log "$folder"/array/slurm-*.txt 2> /dev/null || true
  fi
  if ((${#daemons[@]})); then
    timeout 10 scancel --user="$(id -un)" || true
    until ((SECONDS >= end)) || nothing_queued; do sleep 0.5; done
    kill "${daemons[@]}" || true
    sleep 1
  fi 2> /dev/null
  kill_all "$folder"
  rm -rf "$folder"
}
trap finish EXIT

fail() {
  echo "tests/slurm/test.sh: $*" >&2
  exit 1
}

state() { # of runs and jobs, where there are any
  if [ -d "$folder/array" ]; then status; else tail "$folder"/*.log; fi
}

until_true() { # seconds, command...: waits until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    ((SECONDS < end)) || fail "not within its time: $*; $(state 2>&1)"
    sleep 0.2
  done
}

# --- Slurm: one node, this machine; no systemd, no cgroups --------------------

start_slurm() {
  local host cpus port=$((10000 + $$ % 10000 * 2)) # two tests at once differ
  host=$(hostname -s)
  cpus=$(nproc)
  mkdir -p "$folder/munge" "$folder/state" "$folder/spool"
  chown munge: "$folder/munge"
  chmod 700 "$folder/munge"
  head -c 1024 /dev/urandom > "$folder/munge/key"
  chown munge: "$folder/munge/key"
  chmod 600 "$folder/munge/key"
  chmod 755 "$folder/munge"
  cat > "$SLURM_CONF" << CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
SlurmUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
KillWait=5
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
  setsid setpriv --reuid munge --regid munge --init-groups munged --foreground --force \
    --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --log-file="$folder/munge/log" --pid-file="$folder/munge/pid" \
    --seed-file="$folder/munge/seed" 2> "$folder/munged.log" &
  daemons+=($!)
  until_true 10 munge -n --socket="$folder/munge/socket"
  setsid slurmctld -D > "$folder/slurmctld.log" 2>&1 &
  daemons+=($!)
  setsid slurmd -D > "$folder/slurmd.log" 2>&1 &
  daemons+=($!)
  until_true 30 sh -c "sinfo -h -o %t | grep -q idle"
}

# --- the sweep ------------------------------------------------------------------

cat > "$folder/base.yaml" << 'RECIPE'
data: {set: fashion_mnist, limit: 3000, test_limit: 200}
model: {channels: [4, 8, 8], pool: [true, true, false]}
train: {epochs: 16, batch: 16}
threads: 1
RECIPE
cat > "$folder/sweep.yaml" << 'SWEEP'
name: slurm_test
base: base.yaml
grid:
  T: [1, 2]
  surrogate.width_rule: [fixed, learned]
SWEEP
cat > "$folder/setup" << 'SETUP'
#SBATCH --comment=of_the_setup
export SURGE_SETUP_SEEN=yes
echo "setup: $SURGE_SETUP_SEEN"
SETUP

status() { "$surge" sweep status "$folder/array"; }
says() { status | grep -E -- "$1" > /dev/null; } # all is read: no SIGPIPE
is() { says "^ *$1  $2"; } # index, state
has_epoch() { says "^ *$1  running +[1-9]"; }

cd "$folder"
"$surge" sweep sweep.yaml --out whole --jobs 2 > /dev/null
start_slurm
"$surge" sweep sweep.yaml --out array --slurm --partition test --time 10 \
  --setup setup --jobs 2
job=$(cat array/slurm.txt)
scontrol show job "$job" | grep -q Comment=of_the_setup || fail "its #SBATCH line"
grep -q '^#SBATCH --array=0-3%2$' array/slurm.sh || fail "not an array of four"

until_true 60 has_epoch 0
says "slurm: .* RUNNING" || fail "status does not say what squeue does"
scontrol requeue "${job}_0"                # what an administrator does
until_true 60 has_epoch 1
# What the time limit does. scancel asks again while the task is being requeued.
timeout 3 scancel --signal=USR1 --batch "${job}_1" || true
until_true 60 grep -q "interrupted" "array/slurm-${job}_1.txt"
until_true 60 has_epoch 2
pid=$(pgrep -f "train.*$folder/array/T=2_width_rule=fixed.part") ||
  fail "run 2 has no process"
kill -9 "$pid"                             # what a lack of memory does
until_true 60 is 2 failed

hurry() { # a requeued job waits two minutes, to let what failed it go away
  scontrol update "JobId=$job" StartTime=now || true
  scontrol release "$job" || true
  nothing_queued -j "$job"
}
until_true 120 hurry
status
for index in 0 1 3; do
  is "$index" "done" || fail "run $index is not done"
done
is 2 failed || fail "the run that was killed is not told"
grep -q "setup: yes" "array/slurm-${job}_3.txt" || fail "the setup was not run"
(($(wc -l < "array/T=1_width_rule=fixed/processes.csv") > 2)) ||
  fail "run 0 was not interrupted"
grep -q ",130$" "array/T=1_width_rule=learned/processes.csv" ||
  fail "run 1 was not interrupted"

# Submitted again, the array is what is missing.
"$surge" sweep sweep.yaml --out array --slurm --partition test
grep -q '^#SBATCH --array=2$' array/slurm.sh || fail "not an array of one"
until_true 120 is 2 "done"
"$surge" sweep sweep.yaml --out array > /dev/null # writes sweep.csv
columns() { cut -d, -f1-10 "$1/sweep.csv"; }
diff <(columns whole) <(columns array) || fail "the tables differ"
echo "Slurm $(sbatch --version | cut -d' ' -f2): an array of 4 runs, one requeued," \
  "one warned, one killed: the same table"
