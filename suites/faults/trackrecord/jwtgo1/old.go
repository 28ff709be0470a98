//go:build !fixed

package main

import "github.com/dgrijalva/jwt-go"

func key(pem []byte) (any, error) { return pem, nil }

func claims(t *jwt.Token) map[string]interface{} { return t.Claims }
