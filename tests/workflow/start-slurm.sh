#!/usr/bin/env bash
# A real Slurm of one node for the workflow's tests: controller, node daemon and accounting (sacct works),
# with pretended GPUs and enough pretended CPUs that the GPUs decide how many jobs run at once.
#
#   tests/workflow/start-slurm.sh [N_GPUS]    start (default 2 GPUs); does nothing where it runs already
#   tests/workflow/start-slurm.sh stop        cancel its jobs and end it
#
# For root on Debian; installs what is missing. Everything but /etc/slurm lives in /tmp/one-node-slurm; munge and MariaDB
# have sockets and a port of their own. Each start begins with empty state: what a killed session left cannot hurt.
# A pretended GPU is an empty device file: a job is given CUDA_VISIBLE_DEVICES, and no GPU.
set -euo pipefail

home=/tmp/one-node-slurm
conf=/etc/slurm/slurm.conf
marker="# written by phenoviews tests/workflow/start-slurm.sh"
daemons=(slurmd slurmctld slurmdbd mariadbd munged) # in the order in which they end
database_port=13306

fail() {
  echo "start-slurm.sh: $*" >&2
  exit 1
}

# pid_of DAEMON: the process that this script started, if it lives. A number in a stale file may meanwhile be another
# program's (its name tells), or that of a dead process which nobody has waited for (it has no executable any more).
pid_of() {
  local pid
  pid=$(cat "$home/$1.pid" 2>/dev/null) && [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$1" ]] \
    && readlink "/proc/$pid/exe" >/dev/null && echo "$pid"
}

# until_true SECONDS WHAT COMMAND...: waits for COMMAND to succeed; where it does not, shows the logs and fails.
until_true() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || { tail -n 15 "$home"/log/*.log >&2; fail "$what; its logs are in $home/log"; }
    sleep 0.3
  done
}

gone() { ! readlink "/proc/$1/exe" >/dev/null; }
no_jobs() { [[ -z $(squeue -h) ]]; }
node_is_up() { sinfo -h -o %t | grep -qE '^(idle|mix|alloc)$'; }
database() { mariadb --no-defaults --socket="$home/mariadb.sock" --user=root "$@"; }

stop() {
  local daemon pid
  if pid_of slurmctld >/dev/null && pid_of slurmd >/dev/null; then
    scancel --user=root 2>/dev/null || true
    for _ in {1..20}; do no_jobs && break; sleep 0.5; done
    # jobs that do not mind SIGTERM would be killed after KillWait only
    no_jobs || scontrol listpids | awk 'NR > 1 && $1 > 1 {print $1}' | xargs -r kill -KILL 2>/dev/null || true
  fi
  for daemon in "${daemons[@]}"; do
    pid=$(pid_of "$daemon") || continue
    kill "$pid" 2>/dev/null || true
    for _ in {1..50}; do gone "$pid" && break; sleep 0.2; done
    gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
  done
  # Snakemake's Slurm plugin asks the controller as it is imported: with a dead one named here, every call waits nine seconds.
  rm -f "$conf"
}

runs_with() {
  local daemon
  for daemon in "${daemons[@]}"; do pid_of "$daemon" >/dev/null || return 1; done
  grep -q "Gres=gpu:$1 " "$conf" && node_is_up && sacct >/dev/null 2>&1
}

install_missing() {
  local program
  for program in slurmctld slurmd slurmdbd munged mariadbd mariadb-install-db; do
    command -v "$program" >/dev/null && continue
    echo "installing Slurm, munge and MariaDB (no $program here)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm slurmdbd munge mariadb-server >/dev/null
    return
  done
}

configure() {
  local gpus=$1 node memory gpu
  node=$(hostname -s)
  memory=$(($(awk '/^MemTotal/ {print $2}' /proc/meminfo) / 1024 * 9 / 10))
  rm -rf "$home"
  mkdir -p "$home"/{log,state,spool,database} /etc/slurm
  chmod 755 "$home" # munged and slurmctld refuse a home that others may write to
  for ((gpu = 0; gpu < gpus; gpu++)); do mknod "$home/gpu$gpu" c 1 3; done

  cat >"$conf" <<-CONF
	$marker
	ClusterName=onenode
	SlurmctldHost=$node(127.0.0.1)
	SlurmUser=root
	AuthType=auth/munge
	AuthInfo=socket=$home/munge.sock
	StateSaveLocation=$home/state
	SlurmdSpoolDir=$home/spool
	SlurmctldPidFile=$home/slurmctld.pid
	SlurmdPidFile=$home/slurmd.pid
	SlurmctldLogFile=$home/log/slurmctld.log
	SlurmdLogFile=$home/log/slurmd.log
	SlurmdParameters=config_overrides
	ProctrackType=proctrack/linuxproc
	TaskPlugin=task/none
	MpiDefault=none
	SelectType=select/cons_tres
	SelectTypeParameters=CR_Core_Memory
	DefMemPerCPU=1000
	KillWait=10
	GresTypes=gpu
	AccountingStorageType=accounting_storage/slurmdbd
	AccountingStorageHost=127.0.0.1
	AccountingStoragePass=$home/munge.sock
	AccountingStorageTRES=gres/gpu
	JobAcctGatherType=jobacct_gather/linux
	JobAcctGatherFrequency=task=5
	JobAcctGatherParams=OverMemoryKill
	ReturnToService=2
	NodeName=$node NodeAddr=127.0.0.1 CPUs=$((4 * gpus)) RealMemory=$memory Gres=gpu:$gpus State=UNKNOWN
	PartitionName=gpu Nodes=$node Default=YES DefaultTime=60 MaxTime=INFINITE State=UP
	CONF
  echo "NodeName=$node Name=gpu File=$home/gpu[0-$((gpus - 1))]" >/etc/slurm/gres.conf
  install -m 600 /dev/stdin /etc/slurm/slurmdbd.conf <<-CONF
	AuthType=auth/munge
	AuthInfo=socket=$home/munge.sock
	SlurmUser=root
	DbdHost=localhost
	DbdAddr=127.0.0.1
	PidFile=$home/slurmdbd.pid
	LogFile=$home/log/slurmdbd.log
	StorageType=accounting_storage/mysql
	StorageHost=127.0.0.1
	StoragePort=$database_port
	StorageUser=slurm
	StorageLoc=slurm
	CONF
}

start() {
  # munge: who is who between the daemons and the commands
  head -c 1024 /dev/urandom >"$home/munge.key"
  chmod 600 "$home/munge.key"
  munged --key-file="$home/munge.key" --socket="$home/munge.sock" --pid-file="$home/munged.pid" \
    --seed-file="$home/munge.seed" --log-file="$home/log/munged.log"

  # MariaDB: where the accounting is kept
  mariadb-install-db --no-defaults --user=root --datadir="$home/database" --auth-root-authentication-method=normal \
    --skip-test-db >"$home/log/database.log" 2>&1
  setsid mariadbd --no-defaults --user=root --datadir="$home/database" --socket="$home/mariadb.sock" \
    --pid-file="$home/mariadbd.pid" --bind-address=127.0.0.1 --port="$database_port" --innodb-flush-log-at-trx-commit=0 \
    --innodb-buffer-pool-size=64M </dev/null >>"$home/log/database.log" 2>&1 &
  until_true 60 "MariaDB does not answer" database -e "select 1"
  database -e "create database slurm; create user slurm@'127.0.0.1'; create user slurm@localhost;
    grant all on slurm.* to slurm@'127.0.0.1'; grant all on slurm.* to slurm@localhost"

  slurmdbd
  until_true 60 "slurmdbd does not answer" sacctmgr -n show cluster
  sacctmgr -i -Q add cluster onenode >/dev/null
  sacctmgr -i -Q add account root Description=root Organization=root >/dev/null 2>&1 || true # some versions make it themselves
  sacctmgr -i -Q add user root Account=root >/dev/null 2>&1 || true
  slurmctld
  slurmd
  until_true 60 "the node does not come up" node_is_up
}

[[ $EUID -eq 0 ]] || fail "run it as root"
[[ ! -e $conf ]] || grep -qE "^SlurmctldHost=.*\(127\.0\.0\.1\)" "$conf" || fail "$conf is another cluster's; this machine has a Slurm already"
case ${1:-2} in
  stop) stop ;;
  [1-9] | [1-9][0-9])
    gpus=${1:-2}
    if ! runs_with "$gpus"; then
      install_missing
      stop
      configure "$gpus"
      start
    fi
    sinfo -o "%P %t nodes=%D cpus=%c memory=%m %G"
    ;;
  *) fail "usage: start-slurm.sh [N_GPUS | stop]" ;;
esac
