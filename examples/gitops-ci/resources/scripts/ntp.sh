# The clock of the rack's hosts.
set -e
mkdir -p /etc/systemd/timesyncd.conf.d
printf '[Time]\nNTP=%s\n' {{ params.ntp | quote }} >/etc/systemd/timesyncd.conf.d/rack.conf
