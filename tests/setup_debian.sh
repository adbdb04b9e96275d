#!/usr/bin/env bash
# Debian packages that some tests use: a PostgreSQL server, unshare and mount, a browser for pictures of reports,
# strace to let system calls fail, a C compiler to make a wrong clock, bubblewrap for the sandbox of steps,
# systemd-analyze to check the unit, tools and a registry that read and take images, wrk to put servers under load.
# Installs what is missing, as root; at a desk without them those tests are skipped and say so.
set -euo pipefail
wanted=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wanted+=(postgresql)
command -v unshare >/dev/null || wanted+=(util-linux)
command -v git >/dev/null || wanted+=(git)
command -v chromium >/dev/null || wanted+=(chromium)
command -v strace >/dev/null || wanted+=(strace)
command -v cc >/dev/null || wanted+=(gcc libc6-dev)
command -v bwrap >/dev/null || wanted+=(bubblewrap)
command -v systemd-analyze >/dev/null || wanted+=(systemd)
command -v buildah >/dev/null || wanted+=(buildah)
command -v skopeo >/dev/null || wanted+=(skopeo)
command -v umoci >/dev/null || wanted+=(umoci)
command -v docker-registry >/dev/null || wanted+=(docker-registry)
command -v busybox >/dev/null || wanted+=(busybox-static)
command -v wrk >/dev/null || wanted+=(wrk)
if [ "${#wanted[@]}" -eq 0 ]; then
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install -y --no-install-recommends "${wanted[@]}"
