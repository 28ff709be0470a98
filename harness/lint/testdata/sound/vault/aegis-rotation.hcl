# What whoever rotates the runtime secrets may do (runbook section 6).
path "secret/data/aegis/runtime" {
  capabilities = ["create", "update", "read"]
}
