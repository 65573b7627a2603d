#!/bin/sh
# Installs the Oriel agent on this computer and enrolls it at a relay:
#
#   curl -fsSL RELAY/install.sh | sudo sh -s -- --token TOKEN
#
# The token comes from 'Add computer' in the relay's console; instead of
# --token it may stand in ORIEL_TOKEN. Files are taken from the same relay and
# must have the size and SHA-256 written below. Run again with a newer script it
# updates the agent. To remove it: remove the package oriel-agent; from a .tar.gz:
# oriel-agent uninstall, then rm /usr/local/bin/oriel-agent.
#
# Exit codes: 0 done, 1 failed, 2 wrong usage.
set -eu

# Where this script came from.
relay='@RELAY@'

# Not empty: http beyond this machine.
exposed='@EXPOSED@'

# What can be installed: system, processor, kind, bytes, SHA-256, name.
files='@FILES@'

# Nothing runs before the last line: half a script does nothing.
main() {
  token=${ORIEL_TOKEN:-} kind='' ca='' http=''
  while [ $# -gt 0 ]; do
    case $1 in
    --token | --kind | --ca)
      [ $# -ge 2 ] || usage "$1 needs a value"
      set_option "$1" "$2"
      shift 2
      ;;
    --token=* | --kind=* | --ca=*) set_option "${1%%=*}" "${1#*=}"; shift ;;
    --allow-http) http=1; shift ;;
    -h | --help) help; exit 0 ;;
    *) usage "unknown argument: $1" ;;
    esac
  done
  case $token in
  '') usage "an enrollment token is needed; get one in the console under 'Add computer'" ;;
  *[!A-Za-z0-9-]*) usage "this is not an enrollment token; copy it whole from the console" ;;
  esac
  [ -z "$ca" ] || [ -r "$ca" ] || usage "cannot read $ca"
  [ -z "$exposed" ] || [ -n "$http" ] ||
    usage "$relay is not encrypted, and others on the network could change what comes from there; if you trust it, say --allow-http"
  [ "$(id -u)" = 0 ] || die "installing needs root; run: curl -fsSL $relay/install.sh | sudo sh -s -- --token TOKEN"

  choose
  umask 077
  dir=$(mktemp -d "${TMPDIR:-/tmp}/oriel.XXXXXX") || die "cannot make a temporary folder"
  trap 'rm -rf "$dir"' EXIT
  trap 'exit 1' HUP INT TERM

  say "downloading $name"
  download "$relay/download/$name" "$dir/$name" || die "could not download $relay/download/$name"
  verify "$dir/$name"
  umask 022
  case $kind in
  deb) install_deb ;;
  rpm) install_rpm ;;
  tar.gz) install_tar ;;
  esac

  # A build for a newer C library would fail here, before anything is enrolled.
  "$agent" version >/dev/null 2>&1 </dev/null || die "$agent does not run on this system: $("$agent" version 2>&1 </dev/null | head -n 1)"
  case $("$agent" status 2>/dev/null </dev/null) in
  *'service:  not installed'*) enroll ;;
  *) restart ;;
  esac
}

say() { printf 'oriel: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage() { say "$*"; help; exit 2; }

help() {
  cat >&2 <<END
usage: curl -fsSL $relay/install.sh | sudo sh -s -- --token TOKEN [options]
  --token TOKEN   the enrollment token (or ORIEL_TOKEN in the environment)
  --kind KIND     deb, rpm or tar.gz; by default what this system uses
  --ca FILE       certificates to trust for the relay, besides the system's (PEM)
  --allow-http    enroll over http:// beyond this machine
END
}

set_option() {
  case $1 in
  --token) token=$2 ;;
  --ca) ca=$2 ;;
  --kind)
    case $2 in
    deb | rpm | tar.gz) kind=$2 ;;
    *) usage "--kind is deb, rpm or tar.gz" ;;
    esac
    ;;
  esac
}

# Sets kind, size, hash and name from what this machine is.
choose() {
  case $(uname -s) in
  Linux) os=linux ;;
  Darwin) os=darwin ;;
  FreeBSD) os=freebsd ;;
  *) os=$(uname -s) ;;
  esac
  case $(uname -m) in
  x86_64 | amd64) arch=amd64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) arch=$(uname -m) ;;
  esac
  # A 32-bit system may run on a 64-bit kernel.
  if [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" != 64 ]; then arch=$arch-32bit; fi

  if [ -n "$kind" ]; then
    row "$kind" || die "this relay has no agent for $os on $arch as $kind"
  elif has dpkg && row deb; then :
  elif ! has dpkg && has rpm && row rpm; then :
  elif row tar.gz; then :
  else
    die "this relay has no agent for $os on $arch"
  fi
}

has() { command -v "$1" >/dev/null 2>&1; }

# row KIND: whether there is such a file for this machine; sets what is known of it.
row() {
  while read -r row_os row_arch row_kind row_size row_hash row_name; do
    if [ "$row_os $row_arch $row_kind" = "$os $arch $1" ]; then
      kind=$row_kind size=$row_size hash=$row_hash name=$row_name
      return 0
    fi
  done <<END
$files
END
  return 1
}

download() {
  # From https nothing may lead to http.
  case $relay in
  https://*) protocols='=https' ;;
  *) protocols='=http,https' ;;
  esac
  if has curl; then
    set -- -fsSL --proto "$protocols" --retry 3 --connect-timeout 20 -o "$2" "$1"
    [ -z "$ca" ] || set -- --cacert "$ca" "$@"
    curl "$@"
  elif has wget; then
    set -- -q -O "$2" "$1"
    [ -z "$ca" ] || set -- --ca-certificate="$ca" "$@"
    wget "$@"
  else
    die "curl or wget is needed"
  fi
}

verify() {
  got=$(($(wc -c <"$1")))
  [ "$got" = "$size" ] || die "$name has $got bytes and should have $size; nothing was installed"
  if has sha256sum; then
    got=$(sha256sum <"$1")
  elif has shasum; then
    got=$(shasum -a 256 <"$1")
  elif has openssl; then
    got=$(openssl dgst -sha256 -r <"$1")
  else
    die "sha256sum, shasum or openssl is needed to check the download"
  fi
  [ "${got%% *}" = "$hash" ] || die "$name is not the file this relay announced (wrong SHA-256); nothing was installed"
}

install_deb() {
  agent=/usr/bin/oriel-agent
  DEBIAN_FRONTEND=noninteractive dpkg -i "$dir/$name" </dev/null >"$dir/log" 2>&1 || { cat "$dir/log" >&2; die "dpkg could not install $name"; }
}

install_rpm() {
  agent=/usr/bin/oriel-agent
  rpm -U --replacepkgs --oldpackage "$dir/$name" </dev/null >"$dir/log" 2>&1 || { cat "$dir/log" >&2; die "rpm could not install $name"; }
}

install_tar() {
  agent=/usr/local/bin/oriel-agent
  tar -xzf "$dir/$name" -C "$dir" || die "could not unpack $name"
  mkdir -p /usr/local/bin
  # Beside the old one, then in its place: a running agent keeps its file.
  { cp "$dir"/oriel-agent-*/oriel-agent "$agent.new" && chmod 755 "$agent.new" && mv -f "$agent.new" "$agent"; } ||
    die "could not write $agent"
}

enroll() {
  say "enrolling at $relay"
  set -- install --relay "$relay"
  [ -z "$ca" ] || set -- "$@" --ca "$ca"
  [ -z "$http" ] || set -- "$@" --allow-http
  # In the environment, where the list of processes does not show it.
  ORIEL_TOKEN=$token "$agent" "$@" </dev/null || die "the program is installed, the agent is not; see above, then run this again"
  say "done; this computer is now in the list at $relay"
}

# Whoever has a service has an enrollment, which a new program keeps.
restart() {
  unset ORIEL_TOKEN
  "$agent" stop </dev/null >/dev/null || true
  "$agent" start </dev/null >/dev/null || die "the agent was updated and does not start; see $agent status"
  say "updated; to enroll at another relay, run $agent uninstall --purge first, then this again"
}

main "$@"
