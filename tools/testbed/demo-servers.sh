# The part of tools/demo that works against private servers; read by it, not run.

readonly reader_password=demo-reader-pass

# Everything that runs ends with the demo, however it ends; a server that was stopped is woken first.
end_servers() {
  trap - EXIT INT TERM
  [ -z "${listener_input-}" ] || eval "exec $listener_input>&-"
  [ -z "${broker_input-}" ] || eval "exec $broker_input>&-"
  wait ${listener_pid-} ${broker_pid-} 2>/dev/null || true
  "$root/tools/testbed/mariadb" stop "$folder/servers/mariadb" || true
  "$root/tools/testbed/postgresql" stop "$folder/servers/postgresql" || true
  rm -rf "$folder/servers"
}

# What a server's script has said of itself, by name.
said() { sed -n "s/^$2=//p" "$folder/servers/$1.txt"; }

start_servers() {
  mkdir -p "$folder/servers/tmp"
  export TESTBED_OWNER=$$ TMPDIR=$folder/servers/tmp
  trap 'code=$?; end_servers; exit $code' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  "$root/tools/testbed/mariadb" start "$folder/servers/mariadb" >"$folder/servers/mariadb.txt"
  "$root/tools/testbed/postgresql" start "$folder/servers/postgresql" \
    >"$folder/servers/postgresql.txt"
  # The broker lives as long as its input.
  coproc BROKER { exec "$root/tools/testbed/rabbitmq" run; }
  broker_pid=$BROKER_PID broker_input=${BROKER[1]}
  IFS= read -r broker <&"${BROKER[0]}"
  broker_port=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["port"])' "$broker")
  say "MariaDB on port $(said mariadb port), PostgreSQL on $(said postgresql port)," \
    "RabbitMQ on $broker_port, all of 127.0.0.1 and in $folder/servers"
}

on_mariadb() {
  mariadb --no-defaults --user=root --socket="$(said mariadb socket)" --batch "$@"
}

on_postgresql() {
  psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --host="$(said postgresql socket)" \
    --port="$(said postgresql port)" --username=postgres "$@"
}

# Puts one of the cloud's databases on a server, with a reader who may SELECT.
load() {
  local engine=$1 name=$2
  say "$name is on $engine"
  "$root/tools/testbed/database-as-sql" "$engine" "cloud/$name.sqlite" reader "$reader_password" \
    >"$folder/servers/$name.sql"
  case "$engine" in
    mariadb)
      on_mariadb --execute "CREATE DATABASE $name CHARACTER SET utf8mb3"
      on_mariadb "$name" <"$folder/servers/$name.sql"
      ;;
    postgresql)
      on_postgresql --command "CREATE DATABASE $name"
      on_postgresql --dbname "$name" <"$folder/servers/$name.sql"
      ;;
  esac
}

address() {
  case "$1" in
    mariadb) printf 'mysql+pymysql' ;;
    postgresql) printf 'postgresql+psycopg2' ;;
  esac
  printf '://reader:%s@127.0.0.1:%s/%s' "$reader_password" "$(said "$1" port)" "$2"
}

# Tells Nova's API database where the cells are now.
move_cell() {
  local name=$1 engine=$2 number=${1#cell} queue="none:///"
  [ "$number" = 0 ] ||
    queue="rabbit://plain:secret-of-plain@127.0.0.1:$broker_port/cell$number"
  on_postgresql --dbname nova_api --command "UPDATE cell_mappings SET
    database_connection = '$(address "$engine" "nova_$name")', transport_url = '$queue'
    WHERE name = '$name'"
}

# Shows a command that ends with a code of its own, which is a part of the answer.
show_code() {
  local wanted=$1 code=0
  shift
  show "$@" || code=$?
  say "(exit code $code)"
  [ "$code" = "$wanted" ]
}

show_servers() {
  local running host log=$folder/servers/listener.txt

  title "2. Private servers"
  start_servers

  title "3. A cloud cut into cells, on those servers"
  show "$root/tools/testbed/sample-cloud" cloud --instances "$instances"
  load postgresql nova_api
  load postgresql nova_cell0
  load mariadb nova_cell1
  load postgresql nova_cell2
  load postgresql nova_cell3
  for cell in cell0 cell2 cell3; do move_cell "$cell" postgresql; done
  move_cell cell1 mariadb

  title "4. Taking the map over"
  show cellmap init
  say "The address of Nova's API database comes from a file, so that its password is in no argument:"
  (umask 077 && printf '[api_database]\nconnection = %s\n' "$(address postgresql nova_api)" \
    >servers/nova.conf)
  show cellmap adopt --nova-conf servers/nova.conf --reason "trying cellmap"
  show cellmap cell list

  title "5. Where is an instance?"
  running=$(pick 'state == "active" and cell_name == "cell1" and host')
  host=$(python3 - "$running" <<'PYTHON'
import json, sys
for line in open("cloud/expected-routes.jsonl"):
    route = json.loads(line)
    if route["instance"] == sys.argv[1]:
        print(route["host"])
PYTHON
  )
  show cellmap route "$running" "$(pick 'state == "active" and cell_name == "cell2" and host')"

  title "6. The instances of all cells at once"
  show cellmap instance list --live --limit 6

  title "7. A message to the instance's host"
  say "Nobody listens for the host yet, and cellmap says so instead of losing the message:"
  show_code 8 cellmap cast "$running" ping
  say "Now a listener takes the place of nova-compute on $host:"
  mkfifo "$folder/servers/listener"
  "$root/tools/testbed/compute-listener" "$broker_port" cell1 plain secret-of-plain "$host" \
    <"$folder/servers/listener" >"$log" &
  listener_pid=$!
  exec {listener_input}>"$folder/servers/listener"
  for _ in {1..100}; do [ -s "$log" ] && break; sleep 0.1; done
  show cellmap cast "$running" ping
  for _ in {1..100}; do grep -q received "$log" && break; sleep 0.1; done
  cat "$log"
  grep -q '^received ping' "$log"

  title "8. A cell hangs"
  say "The server of cell1 is stopped where it stands: it answers nothing, and closes nothing."
  show kill -STOP "$(said mariadb pid)"
  show_code 0 cellmap instance list --live --limit 6 --deadline 1000
  say "What is known of cell1's instances comes from the map. Who needs all of it says so:"
  show_code 5 cellmap instance list --live --limit 6 --deadline 1000 --require-complete
  show kill -CONT "$(said mariadb pid)"
  show_code 0 cellmap instance list --live --limit 6 --require-complete

  end_servers
  title "9. The servers are gone"
  say "What needs no cell is answered all the same, from the store in $folder/store:"
  show cellmap instance show "$running"
}
