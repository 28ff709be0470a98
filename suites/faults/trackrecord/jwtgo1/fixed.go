//go:build fixed

package main

import "github.com/dgrijalva/jwt-go"

// key is of a type that no other method takes.
func key(pem []byte) (any, error) { return jwt.ParseRSAPublicKeyFromPEM(pem) }

func claims(t *jwt.Token) map[string]interface{} { return t.Claims.(jwt.MapClaims) }
