# What the service may do: read its runtime secrets, and renew its own token.
path "secret/data/aegis/runtime" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
