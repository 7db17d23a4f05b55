# What the scripts of a slot's host share. systemd starts them with the settings of slot.env, which the stack wrote; tests put
# other places into SPOOL, ETC, DEVICES, IMDS and AGENT.
set -uo pipefail

: "${SPOOL:=/spool}" "${ETC:=/etc}" "${RUN:=/run/siprec-ha}" "${DEVICES:=/dev/disk/by-id}"
: "${IMDS:=http://169.254.169.254}" "${AGENT:=http://127.0.0.1:51678}" "${HEALTH:=http://127.0.0.1:8080}"
: "${POLL_SECONDS:=5}" "${MAX_WAIT_SECONDS:=30}"

# A call that hangs is a call that failed: the next try is the better one.
export AWS_DEFAULT_REGION=$AWS_REGION AWS_MAX_ATTEMPTS=2 AWS_RETRY_MODE=standard AWS_PAGER=''
api() { timeout 60 aws "$@"; }

say() { echo "slot $SLOT: $*" >&2; }

# metadata ITEM: of this instance, by IMDSv2; fails if there is no such item.
metadata() {
  local token
  token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$IMDS/latest/api/token") &&
    curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "$IMDS/latest/meta-data/$1"
}

# try SECONDS COMMAND...: until it works; waits 1, 2, 4... seconds in between. Fails when the time is over.
try() {
  local end=$((SECONDS + $1)) wait=1
  shift
  until "$@"; do
    [ $((SECONDS + wait)) -le "$end" ] || return 1
    sleep "$wait"
    wait=$((wait * 2 < MAX_WAIT_SECONDS ? wait * 2 : MAX_WAIT_SECONDS))
  done
}

# report METRIC TEXT...: what somebody should know who is not at the console. As far as it can be told.
report() {
  local metric=$1 now stream
  shift
  say "$@"
  now=$(date +%s%3N) stream="$SLOT/${INSTANCE_ID:-unknown}"
  api cloudwatch put-metric-data --namespace "$METRICS_NAMESPACE" \
    --metric-data "MetricName=$metric,Value=1,Unit=Count,Dimensions=[{Name=slot,Value=$SLOT}]" >/dev/null 2>&1
  api logs create-log-stream --log-group-name "$LOG_GROUP" --log-stream-name "$stream" >/dev/null 2>&1
  api logs put-log-events --log-group-name "$LOG_GROUP" --log-stream-name "$stream" \
    --log-events "timestamp=$now,message='$(printf %s "$*" | tr -d \''\n')'" >/dev/null 2>&1
  return 0
}

# signal SUCCESS|FAILURE: to CloudFormation, which refuses it when it is not waiting for this host.
signal() {
  api cloudformation signal-resource --stack-name "$STACK" --logical-resource-id "$GROUP_LOGICAL_ID" \
    --unique-id "$INSTANCE_ID" --status "$1" >/dev/null 2>&1
}

spool_device() { echo "$DEVICES/nvme-Amazon_Elastic_Block_Store_${VOLUME_ID/-/}"; }
