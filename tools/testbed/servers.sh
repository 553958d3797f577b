# What the scripts that start a private server share; read by them, not run.

# Whether a process lives; one that has ended and that nobody has waited for doesn't.
is_alive() {
  kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# Ends with a message when a program is missing; says how to get it.
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || {
      echo "$self: $program is missing; run tools/setup --servers" >&2
      exit 69
    }
  done
}

# A port on loopback that nobody listens on now.
free_port() {
  python3 -c '
import socket
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1])'
}

# Runs a command as the user that a server insists on when root starts it.
as_user() {
  local user=$1
  shift
  if [ "$(id -u)" -eq 0 ]; then setpriv --reuid "$user" --regid "$user" --init-groups "$@"; else "$@"; fi
}

# Closes what whoever started this left open: a server that kept it would keep others waiting.
close_inherited() {
  local descriptor
  for descriptor in /proc/self/fd/*; do
    descriptor=${descriptor##*/}
    if [ "$descriptor" -gt 2 ] && [ "$descriptor" -ne 255 ]; then eval "exec $descriptor>&-"; fi
  done
}

# The same in place of this process.
exec_as_user() {
  local user=$1
  shift
  close_inherited
  if [ "$(id -u)" -eq 0 ]; then
    exec setpriv --reuid "$user" --regid "$user" --init-groups setsid "$@"
  fi
  exec setsid "$@"
}

# Ends the server once the process TESTBED_OWNER is gone, so that a test run that was killed leaves
# nothing.
follow_owner() {
  local owner=${TESTBED_OWNER:-} folder=$1 pid=$2
  [ -n "$owner" ] || return 0
  (
    close_inherited
    while is_alive "$owner" && is_alive "$pid"; do sleep 1; done
    if ! is_alive "$owner"; then stop "$folder"; fi
  ) >/dev/null 2>&1 </dev/null &
}

# Gives a new folder to that user.
own_folder() {
  local user=$1 folder=$2
  mkdir -p "$folder"
  chmod 0700 "$folder"
  if [ "$(id -u)" -eq 0 ]; then chown "$user:$user" "$folder"; fi
}

# Waits until a command succeeds while the server's process lives; at most 60 seconds.
wait_until() {
  local pid=$1 log=$2 tries=0
  shift 2
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 3000 ] || ! is_alive "$pid"; then
      echo "$self: the server didn't come up:" >&2
      tail -n 20 "$log" >&2
      exit 1
    fi
    sleep 0.1
  done
}

# Ends the process whose number is in a file, and waits until it is gone; kills it after 20 seconds.
stop_process() {
  local file=$1 pid tries=0
  [ -s "$file" ] || return 0
  pid=$(head -n 1 "$file")
  # One that a test has stopped couldn't end itself.
  kill -CONT "$pid" 2>/dev/null || true
  kill -TERM "$pid" 2>/dev/null || true
  while is_alive "$pid"; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || kill -KILL "$pid" 2>/dev/null || true
    [ $tries -lt 300 ] || return 1
    sleep 0.1
  done
  rm -f "$file"
}
