#!/bin/bash
# Makes this instance its slot: volume, file system, address, then the ECS agent. At every boot, and again after it failed: each step
# looks first whether it is done already. The volume comes first: who has it is the slot, and nobody has it twice.
. "${0%/*}/functions.sh"

command_line() {
  command -v aws >/dev/null || dnf install -y -q awscli-2
}

# The recorder's receive buffers; ports that nothing else is to take; journals on disk within a second or two.
kernel_settings() {
  local file="$ETC/sysctl.d/90-siprec-ha.conf"
  mkdir -p "${file%/*}" && cat >"$file" <<END && sysctl -q -p "$file"
net.core.rmem_max = 4194304
net.core.netdev_max_backlog = 10000
net.ipv4.ip_local_port_range = 10240 19999
net.ipv4.ip_local_reserved_ports = $RESERVED_PORTS
vm.dirty_writeback_centisecs = 100
vm.dirty_expire_centisecs = 200
vm.dirty_background_bytes = 67108864
END
}

# Attaches the slot's volume once nobody else has it. A predecessor that still drains keeps it until its calls are over.
volume() {
  local state holder attachment holder_state
  read -r state holder attachment < <(api ec2 describe-volumes --volume-ids "$VOLUME_ID" --output text \
    --query 'Volumes[0].[State, Attachments[0].InstanceId, Attachments[0].State]') || return 1
  if [ "$holder" = "$INSTANCE_ID" ]; then
    [ "$attachment" = attached ]
    return
  fi
  if [ "$state" = available ]; then
    api ec2 attach-volume --volume-id "$VOLUME_ID" --instance-id "$INSTANCE_ID" --device /dev/sdf >/dev/null
    return 1 # the next look says how it went
  fi
  # An instance that is gone is described for an hour, or not at all.
  holder_state=$(api ec2 describe-instances --instance-ids "$holder" --output text \
    --query 'Reservations[0].Instances[0].State.Name' 2>&1)
  case $holder_state in
    terminated | None | *InvalidInstanceID.NotFound*)
      say "takes $VOLUME_ID from $holder, which is gone"
      api ec2 detach-volume --volume-id "$VOLUME_ID" --instance-id "$holder" --force >/dev/null
      ;;
    *) say "waits for $VOLUME_ID, which $holder has (${holder_state##*$'\n'})" ;;
  esac
  return 1
}

device() { [ -b "$(spool_device)" ]; }

# Nothing that any program would know, and nothing but zeros where a file system has its beginning and its first copy of it.
is_blank() {
  local known
  known=$(blkid -p -o export "$1" 2>/dev/null)
  [ $? -eq 2 ] && [ -z "$known" ] && [ -z "$(head -c 256M "$1" | tr -d '\0' | head -c 1 | od -An -c)" ]
}

file_system() {
  local device code
  mountpoint -q "$SPOOL" && return 0
  device=$(readlink -f "$(spool_device)")
  if is_blank "$device"; then
    say "makes a file system on $VOLUME_ID, which is blank"
    mkfs.ext4 -q -m 0 -L siprec-spool "$device" || return 1
  elif [ "$(blkid -p -s TYPE -o value "$device")" != ext4 ]; then
    say "$VOLUME_ID holds something that is no ext4: it is left alone"
    return 1
  fi
  # Replays the journal of one that was not unmounted, and mends what needs no decision.
  e2fsck -p "$device" >&2
  code=$?
  if [ $code -ge 4 ]; then
    say "e2fsck -p leaves $VOLUME_ID as it is (exit code $code): a person must look at it"
    return 1
  fi
  mkdir -p "$SPOOL" && mount -t ext4 -o noatime,nodev,nosuid,noexec "$device" "$SPOOL"
}

# The volume may have been made larger; the recorder is not root.
spool() {
  resize2fs "$(readlink -f "$(spool_device)")" >/dev/null 2>&1
  chown "$SPOOL_OWNER:$SPOOL_OWNER" "$SPOOL" && chmod 700 "$SPOOL"
}

# Whoever has the address has not the volume, and so is not the slot any more.
address() {
  local holder
  holder=$(api ec2 describe-addresses --allocation-ids "$ALLOCATION_ID" --output text \
    --query 'Addresses[0].InstanceId') || return 1
  [ "$holder" = "$INSTANCE_ID" ] && return 0
  [ "$holder" = None ] || say "takes $ALLOCATION_ID from $holder"
  api ec2 associate-address --allocation-id "$ALLOCATION_ID" --instance-id "$INSTANCE_ID" \
    --allow-reassociation >/dev/null
  return 1 # connections break as the address changes: the next look says how it went
}

certificates() {
  local part directory="$RUN/certificates"
  [ -n "${TLS_SECRET:-}" ] || return 0
  mkdir -p "$directory" && chmod 700 "$directory" && chown "$SPOOL_OWNER" "$directory" || return 1
  for part in cert key chain; do
    (umask 077 && api secretsmanager get-secret-value --secret-id "$TLS_SECRET/$part" --output text \
      --query SecretString >"$directory/$part.pem") && chown "$SPOOL_OWNER" "$directory/$part.pem" || return 1
  done
}

# Tasks with the host's network get their role only if asked for. An image that is there is not pulled: ECR may be gone.
agent() {
  mkdir -p "$ETC/ecs" && cat >"$ETC/ecs/ecs.config" <<END
ECS_CLUSTER=$CLUSTER
ECS_INSTANCE_ATTRIBUTES={"$SLOT_ATTRIBUTE":"$SLOT"}
ECS_ENABLE_TASK_IAM_ROLE=true
ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true
ECS_IMAGE_PULL_BEHAVIOR=prefer-cached
ECS_CONTAINER_STOP_TIMEOUT=${STOP_SECONDS}s
ECS_AVAILABLE_LOGGING_DRIVERS=["awslogs","json-file"]
END
  systemctl start --no-block ecs # it is ordered after this script, and waits for its end
}

instance() { INSTANCE_ID=$(metadata instance-id); }

step() { # step SECONDS FUNCTION
  try "$@" && return
  report "$FAILURE_METRIC" "cannot start: $2 failed for $1 s, see the journal of $HOSTNAME ($INSTANCE_ID)"
  signal FAILURE
  exit 1
}

INSTANCE_ID=unknown
step "${STEP_SECONDS:-60}" instance
step "${STEP_SECONDS:-600}" command_line
step "${STEP_SECONDS:-10}" kernel_settings
step "${VOLUME_SECONDS:-$((STOP_SECONDS + 1800))}" volume
step "${STEP_SECONDS:-120}" device
step "${STEP_SECONDS:-60}" file_system
step "${STEP_SECONDS:-10}" spool
step "${STEP_SECONDS:-600}" address
step "${STEP_SECONDS:-300}" certificates
step "${STEP_SECONDS:-10}" agent
say "is on $INSTANCE_ID"
