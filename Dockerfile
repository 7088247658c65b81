# Builds the manager's image: one static program on an empty base.
#
#   docker build --tag ghcr.io/tokenkeeper/tokenkeeper:dev .
#
# The two images that it is made from are named by tags, which can move. To ship one,
# name them by digest, which you can check: CONTRIBUTING.md, "An image to ship".
ARG BUILD_IMAGE=golang:1.26
ARG BASE_IMAGE=gcr.io/distroless/static:nonroot

FROM ${BUILD_IMAGE} AS build
ARG TARGETOS
ARG TARGETARCH
# The version that the program says: v0.1.0.
ARG VERSION
WORKDIR /src

# Modules first: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download

COPY api/ api/
COPY cmd/ cmd/
COPY internal/ internal/
RUN CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH:-amd64} \
    go build -trimpath -ldflags="-s -w -X github.com/tokenkeeper/tokenkeeper/internal/version.release=${VERSION}" -o /manager ./cmd

# Certificates of public authorities, a user that is not root, and nothing else.
FROM ${BASE_IMAGE}
COPY --from=build /manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
