# What the scripts that start a private server share; read by them, not run.

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

# The same in place of this process.
exec_as_user() {
  local user=$1
  shift
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
    while kill -0 "$owner" 2>/dev/null && kill -0 "$pid" 2>/dev/null; do sleep 1; done
    if ! kill -0 "$owner" 2>/dev/null; then stop "$folder"; fi
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
    if [ $tries -gt 600 ] || ! kill -0 "$pid" 2>/dev/null; then
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
  while kill -0 "$pid" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || kill -KILL "$pid" 2>/dev/null || true
    [ $tries -lt 300 ] || return 1
    sleep 0.1
  done
  rm -f "$file"
}
