# A small image that runs keyhole as a user without rights:
#
#   docker build -t keyhole .
#   docker run --rm keyhole quickstart --out /tmp/run
#   docker run --rm --user "$(id -u)" -v "$PWD:/home" -v "$HOME/.cache/huggingface:/data/huggingface" keyhole train smollm2-zsre
#
# Built with -tags static the program needs no C library, so the image holds it and
# the certificates of the network alone. OpenBLAS is then not to be had; the
# kernels of the program itself are used.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -tags static -trimpath -ldflags "-s -w" -o /keyhole ./cmd/keyhole \
 && mkdir -p /empty/home /empty/data /empty/tmp && chmod 1777 /empty/tmp && chown -R 65532:65532 /empty/home /empty/data

FROM scratch
COPY --from=build /empty/ /
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /keyhole /keyhole
USER 65532:65532
ENV HOME=/data XDG_CACHE_HOME=/tmp/cache HF_HOME=/data/huggingface
WORKDIR /home
ENTRYPOINT ["/keyhole"]
CMD ["--help"]
