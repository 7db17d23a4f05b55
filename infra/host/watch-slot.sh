#!/bin/bash
# Stands beside the recorder: tells CloudFormation that it works, ends it when it hangs, and gives the slot up when Auto Scaling
# takes the instance away.
. "${0%/*}/functions.sh"

recorder() { docker ps -q --filter label=com.amazonaws.ecs.container-name=recorder; }

# Takes calls, or would if its region were open.
works() {
  local answer
  answer=$(curl -s -m 3 "$HEALTH/healthz") || return 1
  case $answer in *'"healthy":true'* | *'"reasons":["region-closed"]'*) ;; *) return 1 ;; esac
}

# A recorder that is alive answers /status even while it drains. One that does not for so many looks is killed; the ECS agent
# starts it again, and it finishes what it left. Without this, SIGTERM would be waited for as long as for a call's end.
SILENT=0
LAST=''
end_if_hung() {
  local now
  now=$(recorder) || return 0
  if [ -z "$now" ] || [ "$now" != "$LAST" ] || curl -s -o /dev/null -m 3 "$HEALTH/status"; then
    SILENT=0 LAST=$now
    return 0
  fi
  SILENT=$((SILENT + 1))
  [ "$SILENT" -ge "${HUNG_LOOKS:-12}" ] || return 0
  SILENT=0
  docker kill --signal KILL "$now" >/dev/null
  report "$HUNG_METRIC" "the recorder did not answer any more and was killed ($INSTANCE_ID)"
}

lifecycle() { # lifecycle COMMAND [OPTION...]
  api autoscaling "$1" --auto-scaling-group-name "$GROUP_NAME" --lifecycle-hook-name "$HOOK" \
    --instance-id "$INSTANCE_ID" "${@:2}" >/dev/null
}

drain_task() {
  local self
  self=$(curl -sf -m 5 "$AGENT/v1/metadata" | grep -o 'arn:[^"]*:container-instance/[^"]*') || return 1
  api ecs update-container-instances-state --cluster "$CLUSTER" --container-instances "$self" \
    --status DRAINING >/dev/null
}

# The recorder drains by itself, by the same notice. Auto Scaling forgets a host that says nothing for two minutes, so that a dead
# one does not keep its slot.
give_up() {
  say "Auto Scaling takes $INSTANCE_ID: drains"
  try 30 drain_task || say 'ECS was not told; the recorder knows by itself'
  local now told=$((-1000)) end=$((SECONDS + STOP_SECONDS))
  until now=$(recorder) && [ -z "$now" ] || [ $SECONDS -ge $end ]; do
    if [ $((SECONDS - told)) -ge 30 ]; then
      lifecycle record-lifecycle-action-heartbeat || say 'the heartbeat was refused'
      told=$SECONDS
    fi
    end_if_hung
    sleep "$POLL_SECONDS"
  done
  sync
  if ! mountpoint -q "$SPOOL" || umount "$SPOOL"; then
    api ec2 detach-volume --volume-id "$VOLUME_ID" --instance-id "$INSTANCE_ID" >/dev/null
  fi
  try 120 lifecycle complete-lifecycle-action --lifecycle-action-result CONTINUE ||
    say 'the end could not be told; Auto Scaling waits two minutes for it'
  say "has left $INSTANCE_ID"
}

until INSTANCE_ID=$(metadata instance-id); do sleep "$POLL_SECONDS"; done
SIGNALLED=''
while true; do
  if [ "$(metadata autoscaling/target-lifecycle-state)" = Terminated ]; then
    give_up
    exit 0
  fi
  if [ -z "$SIGNALLED" ] && works; then
    SIGNALLED=yes
    say 'takes calls'
    try 30 signal SUCCESS # refused when no deploy waits for it
  fi
  end_if_hung
  sleep "$POLL_SECONDS"
done
