#!/usr/bin/env bash
# Brings a Debian 12 machine to where Conclave builds: says first what it will install, then installs it.
# Starts no service: etcd, which the tests measure against, is unpacked under build/peers and not installed.
#
#   scripts/setup.sh build    what the build needs
#   scripts/setup.sh test     that, and what the tests need
#   scripts/setup.sh bench    that of the build, and what the benchmarks need
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-build}
packages=(g++ cmake ninja-build ccache pkg-config libgrpc++-dev libprotobuf-dev protobuf-compiler
  protobuf-compiler-grpc liblmdb-dev libssl-dev libjemalloc-dev libboost-program-options-dev libspdlog-dev
  nlohmann-json3-dev libgtest-dev libgmock-dev)
peers=()
case "$what" in
  build) ;;
  test)
    packages+=(strace python3 procps util-linux clang-format libnghttp2-dev)
    peers=(etcd-server etcd-client)
    ;;
  bench)
    packages+=(libnghttp2-dev nghttp2-client)
    peers=(etcd-server etcd-client)
    ;;
  *)
    echo "setup: '$what' is neither build, test nor bench" >&2
    exit 2
    ;;
esac

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing+=("$package")
done
peers_dir=build/peers
[ ${#peers[@]} -eq 0 ] || { [ -x $peers_dir/usr/bin/etcd ] && [ -x $peers_dir/usr/bin/etcdctl ]; } && peers=()

if [ ${#missing[@]} -eq 0 ] && [ ${#peers[@]} -eq 0 ]; then
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "setup: packages are missing (${missing[*]}) and this is neither root nor is there sudo" >&2
    exit 1
  }
  as_root=(sudo)
fi

if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing from Debian (about one minute): ${missing[*]}"
fi
if [ ${#peers[@]} -gt 0 ]; then
  echo "setup: unpacking under $peers_dir, without installing or starting them: ${peers[*]}"
fi
"${as_root[@]}" apt-get update -q
if [ ${#missing[@]} -gt 0 ]; then
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
if [ ${#peers[@]} -gt 0 ]; then
  mkdir -p $peers_dir/packages
  (cd $peers_dir/packages && apt-get download -q "${peers[@]}")
  for package in $peers_dir/packages/*.deb; do dpkg -x "$package" $peers_dir; done
fi
echo "setup: done"
