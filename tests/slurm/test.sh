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
export SLURM_CONF=$folder/slurm.conf
started=() # processes of this test, ended with it
finish() {
  local code=$?
  if [ "$code" != 0 ]; then
    tail -n 20 "$folder"/*.log "$folder"/array/slurm-*.txt 2> /dev/null || true
  fi
  scancel --user="$(id -un)" 2> /dev/null && sleep 2
  ((${#started[@]} == 0)) || kill "${started[@]}" 2> /dev/null || true
  wait
  rm -rf "$folder"
}
trap finish EXIT

fail() {
  echo "tests/slurm/test.sh: $*" >&2
  exit 1
}

until_true() { # seconds, command...: waits until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    ((SECONDS < end)) || fail "not within its time: $*"
    sleep 0.2
  done
}

# --- Slurm: one node, this machine; no systemd, no cgroups --------------------

start_slurm() {
  local host cpus
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
SlurmctldPort=26817
SlurmdPort=26818
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
KillWait=20
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
  setpriv --reuid munge --regid munge --init-groups munged --foreground --force \
    --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --log-file="$folder/munge/log" --pid-file="$folder/munge/pid" \
    --seed-file="$folder/munge/seed" 2> "$folder/munged.log" &
  started+=($!)
  until_true 10 munge -n --socket="$folder/munge/socket"
  slurmctld -D > "$folder/slurmctld.log" 2>&1 &
  started+=($!)
  slurmd -D > "$folder/slurmd.log" 2>&1 &
  started+=($!)
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
is() { status | grep -qE "^ *$1  $2"; } # index, state
has_epoch() { status | grep -qE "^ *$1  running +[1-9]"; }

cd "$folder"
"$surge" sweep sweep.yaml --out whole --jobs 2 > /dev/null
start_slurm
"$surge" sweep sweep.yaml --out array --slurm --partition test --time 10 \
  --setup setup --jobs 2
job=$(cat array/slurm.txt)
scontrol show job "$job" | grep -q Comment=of_the_setup || fail "its #SBATCH line"
grep -q '^#SBATCH --array=0-3%2$' array/slurm.sh || fail "not an array of four"

until_true 60 has_epoch 0
status | grep -q "slurm: .* RUNNING" || fail "status does not say what squeue does"
scontrol requeue "${job}_0"                # what an administrator does
until_true 60 has_epoch 1
# What the time limit does. scancel asks again while the task is being requeued.
timeout 3 scancel --signal=USR1 --batch "${job}_1" || true
until_true 60 grep -q "interrupted" "array/slurm-${job}_1.txt"
until_true 60 has_epoch 2
pid=$(pgrep -f "train.*$folder/array/T=2_width_rule=fixed.part")
kill -9 "$pid"                             # what a lack of memory does
until_true 60 is 2 failed

hurry() { # a requeued job waits two minutes, to let what failed it go away
  scontrol update "JobId=$job" StartTime=now || true
  scontrol release "$job" || true
  [ -z "$(squeue -h -j "$job")" ]
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
