# The SIP server beside the recorder, for linux/amd64 and linux/arm64. An image of its own so that hosts pull it from the
# registry of their region, and Docker Hub is asked only when a version is deployed for the first time.
# `recorders.sipServerImage` of the deployment file pins it by digest: docs/security.md, "Images".
ARG SIP_SERVER_IMAGE=drachtio/drachtio-server:0.9.10
FROM ${SIP_SERVER_IMAGE}
