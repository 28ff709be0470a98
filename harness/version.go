package harness

// Version is the harness's own.
const Version = "0.1.0"
