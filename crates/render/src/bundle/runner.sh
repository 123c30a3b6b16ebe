# Runs the bundles of one machine in their order, and tells of each script. Made for one boot, whose secret it holds.
set +eu
unset IFS
umask 077
cd /
r_dir=$(mktemp -d 2>/dev/null)
if [ -z "$r_dir" ]; then
  r_dir=${TMPDIR:-/tmp}/reveille-bundle.$$
  mkdir "$r_dir" || exit 1
fi
trap 'rm -rf "$r_dir"' EXIT
trap 'exit 130' HUP INT TERM
: >"$r_dir/nothing"

r_client=none r_post= r_tries=
if command -v curl >/dev/null 2>&1; then
  r_client=curl
elif command -v wget >/dev/null 2>&1; then
  r_client=wget
  r_help=$(wget --help 2>&1)
  case $r_help in *--post-file*) r_post=file ;; *--post-data*) r_post=data ;; esac
  case $r_help in *--tries*) r_tries=--tries=1 ;; esac
else
  echo "reveille: there is neither curl nor wget here; nobody is told what becomes of the scripts" >&2
fi

# Busybox took its seconds as an option before 1.30.
if timeout 5 true >/dev/null 2>&1; then
  r_timeout=new
elif timeout -t 5 true >/dev/null 2>&1; then
  r_timeout=old
else
  r_timeout=none
fi

# $1: what is told, $2: a file with last words.
r_send() {
  case $r_client:$r_post in
  curl:*) http_proxy= curl -fsS -m 20 -o /dev/null --data-binary "@$2" "$r_url/$1" ;;
  wget:file) http_proxy= wget -q -T 20 $r_tries -O /dev/null --post-file="$2" "$r_url/$1" ;;
  wget:data) http_proxy= wget -q -T 20 $r_tries -O /dev/null --post-data="$(cat "$2")" "$r_url/$1" ;;
  wget:*) http_proxy= wget -q -T 20 $r_tries -O /dev/null "$r_url/$1" ;;
  esac
}

# A lost word is said again; when nobody listens, only once. Where packets are dropped each try takes as long as it may: after a
# lost word only ends are told, after three in a row nothing more.
r_patience=3 r_lost=0
r_tell() {
  case $r_lost:$1 in 3:* | [12]:*/started) return 0 ;; esac
  r_left=$r_patience
  while :; do
    r_send "$1" "$2" >/dev/null 2>"$r_dir/told" && { r_patience=3 r_lost=0; return; }
    r_left=$((r_left - 1))
    [ "$r_left" -gt 0 ] || break
    sleep 1
  done
  r_patience=1 r_lost=$((r_lost + 1))
  echo "reveille: nobody could be told $1: $(tail -n 1 "$r_dir/told")" >&2
  [ "$r_lost" -lt 3 ] || echo "reveille: nobody is told any more of what becomes of the scripts" >&2
}

# $1 bundle, $2 script, $3 its file, $4 its seconds or 0, $5 what its failure means; then its interpreter.
r_run() {
  r_name=$1/$2 r_file=$3 r_secs=$4 r_then=$5
  shift 5
  echo "reveille: bundle $r_name"
  r_tell "$r_name/started" "$r_dir/nothing"
  case $r_secs:$r_timeout in
  0:* | *:none) "$@" "$r_file" ;;
  *:new) timeout "$r_secs" "$@" "$r_file" ;;
  *:old) timeout -t "$r_secs" "$@" "$r_file" ;;
  esac >"$r_dir/said" 2>&1 </dev/null
  r_status=$?
  # Of a script that was stopped, coreutils says 124 and busybox what the signal was.
  case $r_secs:$r_timeout:$r_status in 0:* | *:none:*) ;; *:143) r_status=124 ;; esac
  cat "$r_dir/said"
  tail -c 1024 "$r_dir/said" >"$r_dir/tail" 2>/dev/null || tail -n 4 "$r_dir/said" | cut -c 1-250 >"$r_dir/tail"
  r_tell "$r_name/exit-$r_status" "$r_dir/tail"
  [ "$r_status" -ne 0 ] || return 0
  echo "reveille: bundle $r_name failed with status $r_status" >&2
  [ "$r_then" = continue ] || exit "$r_status"
}

