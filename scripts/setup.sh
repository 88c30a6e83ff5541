#!/usr/bin/env bash
# Installs what building and running Rowhouse needs, and nothing that is already there.
#
#   scripts/setup.sh [build] [run] [s3] [e2e] [bench]      default: build run
#
#   build  a C compiler, the mold linker (Linux), Rust (through rustup when it is there)
#   run    a PostgreSQL server, version 15 to 18
#   e2e    Node 20 or later with npm; Chromium, where Debian has it (without one, tests in a browser are skipped)
#   bench  nothing more: pgbench comes with the server, the HTTP load generator is ours
#
# Debian and Ubuntu (apt) and macOS (Homebrew) are done by the script; elsewhere it says what to install.
set -euo pipefail

wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(build run)
pg_oldest=15
pg_newest=18
packages=()

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else die "needs root for: $* (no sudo here; run it as root, or install the packages by hand)"
  fi
}

platform() {
  case "$(uname -s)" in
    Darwin) echo mac ;;
    Linux) if have apt-get; then echo apt; else echo other; fi ;;
    *) echo other ;;
  esac
}

# Prints the folder of the newest usable PostgreSQL server; fails when there is none.
find_postgres() {
  local version dir brew_root
  for ((version = pg_newest; version >= pg_oldest; version--)); do
    for dir in "/usr/lib/postgresql/$version/bin" "/usr/pgsql-$version/bin" \
      "/opt/homebrew/opt/postgresql@$version/bin" "/usr/local/opt/postgresql@$version/bin"; do
      if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then echo "$dir"; return 0; fi
    done
  done
  if have postgres && have initdb; then
    version=$(postgres --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')
    if [ "$version" -ge "$pg_oldest" ] && [ "$version" -le "$pg_newest" ]; then
      dirname "$(command -v postgres)"; return 0
    fi
  fi
  return 1
}

# Debian starts a cluster of its own when the server package goes in. Rowhouse runs its own postmasters and
# has no use for it: creation is switched off before the first server package is installed. A machine that
# already has PostgreSQL is left as it is.
no_default_cluster() {
  local conf=/etc/postgresql-common/createcluster.conf
  [ -e "$conf" ] && return 0
  as_root mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
}

apt_postgres() {
  local version
  no_default_cluster
  for ((version = pg_newest; version >= pg_oldest; version--)); do
    # The client package carries psql and pg_dump; the contrib modules come with the server.
    if apt-cache show "postgresql-$version" >/dev/null 2>&1; then
      packages+=("postgresql-$version" "postgresql-client-$version")
      return 0
    fi
  done
  die "this release offers no PostgreSQL $pg_oldest-$pg_newest: add the PGDG apt repository, then run this again"
}

# Newer releases have rustup itself; elsewhere check_rust fetches it.
apt_rust() {
  apt_refresh
  packages+=(ca-certificates)
  if apt-cache show rustup >/dev/null 2>&1; then packages+=(rustup); else want curl curl; fi
}

# Ubuntu has no such package but one that fetches another: there the tests in a browser are skipped.
apt_browser() {
  if have chromium || have google-chrome; then return 0; fi
  apt_refresh
  if apt-cache show chromium >/dev/null 2>&1; then packages+=(chromium); fi
}

apt_refresh() {
  [ "${apt_fresh:-no}" = yes ] && return 0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  apt_fresh=yes
}

want() { # want COMMAND PACKAGE: installs PACKAGE unless COMMAND is there
  have "$1" || packages+=("$2")
}

collect_apt() {
  local part
  for part in "${wanted[@]}"; do
    case "$part" in
      build)
        have cc || packages+=(gcc libc6-dev)
        want mold mold
        if ! have cargo && [ ! -x "$HOME/.cargo/bin/cargo" ]; then apt_rust; fi ;;
      run) if ! find_postgres >/dev/null; then apt_refresh; apt_postgres; fi ;;
      s3)
        # Debian's Python comes without the part that makes environments.
        have python3 && python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3 python3-venv) ;;
      e2e)
        if ! have node; then packages+=(nodejs npm); else want npm npm; fi
        apt_browser ;;
      bench) ;;
      *) die "unknown part '$part' (build, run, s3, e2e, bench)" ;;
    esac
  done
  [ ${#packages[@]} -gt 0 ] || return 0
  say "installing ${packages[*]}"
  apt_refresh
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

collect_mac() {
  local part
  for part in "${wanted[@]}"; do
    case "$part" in
      build) xcode-select -p >/dev/null 2>&1 || die "run 'xcode-select --install' once, then this again" ;;
      run) find_postgres >/dev/null || packages+=(postgresql@17) ;;
      s3) want python3 python ;;
      e2e) want node node ;;
      bench) ;;
      *) die "unknown part '$part' (build, run, s3, e2e, bench)" ;;
    esac
  done
  [ ${#packages[@]} -gt 0 ] || return 0
  have brew || die "needs Homebrew for: ${packages[*]}"
  say "installing ${packages[*]}"
  brew install --quiet "${packages[@]}"
}

report_other() {
  local part missing=()
  for part in "${wanted[@]}"; do
    case "$part" in
      build) have cc || missing+=("a C compiler"); have mold || missing+=("the mold linker") ;;
      run) find_postgres >/dev/null || missing+=("a PostgreSQL server, version $pg_oldest-$pg_newest") ;;
      s3) have python3 || missing+=("Python 3 with venv") ;;
      e2e) have node || missing+=("Node 20 or later") ;;
      bench) ;;
    esac
  done
  [ ${#missing[@]} -eq 0 ] || die "please install: $(printf '%s; ' "${missing[@]}")"
}

# The toolchain itself is named by rust-toolchain.toml: rustup fetches it at the first call of cargo.
check_rust() {
  have cargo && return 0
  [ -x "$HOME/.cargo/bin/cargo" ] && return 0 # the Makefile puts it on PATH
  have curl || die "Rust is missing: install rustup (https://rustup.rs), then run this again"
  say "installing Rust with rustup into ~/.cargo"
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
    sh -s -- -y -q --profile minimal --default-toolchain none --no-modify-path >/dev/null
}

# Without the extras of moto's own "server" part, which bring hundreds of megabytes that S3 needs nothing of.
moto_wanted='moto[s3]==5.2.5 flask==3.1.3 flask-cors==6.0.5'
check_s3() {
  local home="${XDG_CACHE_HOME:-$HOME/.cache}/rowhouse-ci/moto"
  [ "$(cat "$home/wanted" 2>/dev/null)" = "$moto_wanted" ] && return 0
  say "installing $moto_wanted into $home"
  rm -rf "$home"
  mkdir -p "$(dirname "$home")"
  python3 -m venv "$home"
  # shellcheck disable=SC2086 # several requirements
  "$home/bin/pip" install --quiet --disable-pip-version-check $moto_wanted
  echo "$moto_wanted" >"$home/wanted"
}

check_node() {
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || die "Node $major is too old for the end-to-end tests: 20 or later is needed"
}

case "$(platform)" in
  apt) collect_apt ;;
  mac) collect_mac ;;
  *) report_other ;;
esac

for part in "${wanted[@]}"; do
  case "$part" in
    build) check_rust ;;
    run) find_postgres >/dev/null || die "PostgreSQL is still not to be found" ;;
    s3) check_s3 ;;
    e2e) check_node ;;
  esac
done
