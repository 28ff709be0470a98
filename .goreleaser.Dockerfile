# The harness alone: no shell, no root, the authorities are in the program.
FROM scratch
ARG TARGETPLATFORM
COPY $TARGETPLATFORM/conformance /bin/conformance
USER 65532:65532
ENTRYPOINT ["/bin/conformance"]
