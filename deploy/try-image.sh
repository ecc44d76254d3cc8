#!/bin/sh
# try-image.sh FOLDER: run the image that is unpacked in FOLDER as a container would: a read-only root, no capabilities, the
# user of the image, a network of its own. It plays the demo, asks for the health check of the Dockerfile, and ends it.
# For machines with `unshare` and root but without a container runtime; elsewhere `docker run --read-only` does the same.
set -eu
folder=${1:?the folder of the unpacked image}
exec unshare --mount --pid --fork --ipc --uts --net --kill-child sh -euc '
root=$1
ip link set lo up 2>/dev/null || true
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o nosuid,nodev,mode=0700,uid=10001,gid=10001 tmpfs "$root/var/lib/earmark"
mount -t tmpfs -o nosuid,nodev tmpfs "$root/tmp"
mount -t tmpfs -o nosuid,mode=0755 tmpfs "$root/dev"
for each in null zero random urandom; do
    touch "$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
done
mount -o remount,bind,ro "$root"
path=/opt/earmark/bin:/usr/local/bin:/usr/bin:/bin
exec env -i PATH=$path:/usr/sbin HOME=/var/lib/earmark STATE_DIRECTORY=/var/lib/earmark PYTHONUNBUFFERED=1 \
    chroot --userspec=10001:10001 --groups=10001 "$root" setpriv --no-new-privs --bounding-set=-all --inh-caps=-all sh -euc "
id
if touch /etc/written 2>/dev/null; then echo the root is not read-only; exit 1; fi
earmarkd --demo --config /etc/earmark/bare.toml --quiet &
daemon=\$!
healthy() {
    python3 -c \"import urllib.request as u; u.build_opener(u.ProxyHandler({})).open(\\\"http://127.0.0.1:8765/\$1\\\", timeout=4)\" 2>/dev/null
}
for attempt in \$(seq 60); do
    if healthy live && healthy ready; then break; fi
    sleep 1
done
healthy live && healthy ready
echo healthy and ready
kill -TERM \$daemon
wait \$daemon
echo ended with \$?
"
' sh "$folder"
