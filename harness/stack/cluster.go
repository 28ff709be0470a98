package stack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/moby/moby/client"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/fixtures/kubernetes"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
)

// cluster is the Kubernetes of a stack, and the role by which its service account
// logs in to Vault. It takes seconds to start, and is started when it is first
// asked for anything.
type cluster struct {
	c *containers

	mu    sync.Mutex
	api   *kubernetes.Cluster // once it is started
	login *vault.LoginRole
}

// Other accounts than the service's.
const (
	reviewer       = "vault"
	otherAccount   = "somebody"
	otherNamespace = "elsewhere"
)

// component is the cluster as the sign-off records it.
func (k *cluster) component() harness.Component {
	image := k.c.have[images.Kubernetes]
	return harness.Component{
		Name: "kubernetes", Is: "kube-apiserver " + image.Version + " with etcd, started when it is asked for",
		Image: image.Reference, Digest: image.ID, Origin: string(image.Origin),
	}
}

// started has the cluster started, and Vault made to take its tokens.
func (k *cluster) started(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.login != nil {
		return nil
	}
	p, err := k.start(ctx)
	if err != nil {
		return err
	}
	if err := k.populate(ctx); err != nil {
		return p.failed(err)
	}
	sum, err := k.plugIn(ctx, p)
	if err != nil {
		return err
	}
	token, err := k.api.Token(ctx, reviewer, reviewer, "")
	if err != nil {
		return err
	}
	binding := vault.SoundBinding()
	if plant := k.c.blueprint.spec.Fault.Binding; plant != nil {
		plant(&binding)
	}
	at := vault.Cluster{URL: fmt.Sprintf("https://kubernetes:%d", kubernetes.Port), RootPEM: k.c.blueprint.servers.RootPEM(), Reviewer: token}
	if err := vault.SeedKubernetes(ctx, k.c.vault.root, at, path.Base(images.KubernetesAuth), sum, binding); err != nil {
		return err
	}
	k.login = vault.NewLoginRole(k.c.vault.root, vault.KubernetesMount, vault.KubernetesRole)
	return nil
}

// start starts kube-apiserver, and waits until it is ready.
func (k *cluster) start(ctx context.Context) (*placed, error) {
	pair, err := k.c.blueprint.servers.Server("kubernetes", "127.0.0.1")
	if err != nil {
		return nil, err
	}
	setup, err := kubernetes.NewSetup(files, pair)
	if err != nil {
		return nil, fmt.Errorf("setting up kube-apiserver: %w", err)
	}
	copied := map[string][]byte{}
	for name, content := range setup.Files {
		copied[files+name] = content
	}
	p, err := k.c.engine.start(ctx, part{
		name: "kubernetes", image: k.c.have[images.Kubernetes], ports: []int{kubernetes.Port},
		files: copied, command: setup.Command, hidden: []string{setup.Admin.Reveal()},
	})
	if err != nil {
		return nil, err
	}
	k.api = kubernetes.New(p.at[kubernetes.Port], k.c.blueprint.servers.RootPEM(), setup.Admin)
	_, err = p.ready(ctx, k.api.Ready)
	return p, err
}

// populate creates the accounts: the service's, Vault's, which reviews tokens, and
// others.
func (k *cluster) populate(ctx context.Context) error {
	for namespace, accounts := range map[string][]string{
		vault.KubernetesNamespace: {vault.KubernetesAccount, otherAccount},
		otherNamespace:            {vault.KubernetesAccount},
		reviewer:                  {reviewer},
	} {
		if err := k.api.CreateNamespace(ctx, namespace); err != nil {
			return err
		}
		for _, name := range accounts {
			if err := k.api.CreateAccount(ctx, namespace, name); err != nil {
				return err
			}
		}
	}
	return k.api.AllowReviews(ctx, reviewer, reviewer)
}

// plugIn puts Vault's plugin, which comes with the cluster's image, into Vault's
// plugin directory, and gives its SHA-256 in hex.
func (k *cluster) plugIn(ctx context.Context, from *placed) (sum string, err error) {
	engine := k.c.engine.client
	copied, err := engine.CopyFromContainer(ctx, from.id, client.CopyFromContainerOptions{SourcePath: images.KubernetesAuth})
	if err != nil {
		return "", fmt.Errorf("taking Vault's plugin out of its image: %w", err)
	}
	defer func() { _ = copied.Content.Close() }()
	archive, err := io.ReadAll(copied.Content)
	if err != nil {
		return "", fmt.Errorf("taking Vault's plugin out of its image: %w", err)
	}
	entry := tar.NewReader(bytes.NewReader(archive))
	if _, err := entry.Next(); err != nil {
		return "", fmt.Errorf("taking Vault's plugin out of its image: %w", err)
	}
	plugin, err := io.ReadAll(entry)
	if err != nil {
		return "", fmt.Errorf("taking Vault's plugin out of its image: %w", err)
	}
	_, err = engine.CopyToContainer(ctx, k.c.vaultAt.id,
		client.CopyToContainerOptions{DestinationPath: files, Content: bytes.NewReader(archive)})
	if err != nil {
		return "", fmt.Errorf("putting Vault's plugin into its directory: %w", err)
	}
	sum256 := sha256.Sum256(plugin)
	return hex.EncodeToString(sum256[:]), nil
}

// Role reads the role by which the service's account logs in.
func (k *cluster) Role(ctx context.Context) (harness.LoginRole, error) {
	if err := k.started(ctx); err != nil {
		return harness.LoginRole{}, err
	}
	return k.login.Role(ctx)
}

// Logins logs in by the role: as the service's account, and as others.
func (k *cluster) Logins(ctx context.Context) ([]harness.Login, error) {
	if err := k.started(ctx); err != nil {
		return nil, err
	}
	var logins []harness.Login
	for _, try := range []struct {
		with                         string
		namespace, account, audience string
		change                       func(token string) string
	}{
		{with: "the service account's token",
			namespace: vault.KubernetesNamespace, account: vault.KubernetesAccount, audience: vault.KubernetesAudience},
		{with: "another account's token",
			namespace: vault.KubernetesNamespace, account: otherAccount, audience: vault.KubernetesAudience},
		{with: "the token of an account of that name in another namespace",
			namespace: otherNamespace, account: vault.KubernetesAccount, audience: vault.KubernetesAudience},
		{with: "the service account's token for another audience",
			namespace: vault.KubernetesNamespace, account: vault.KubernetesAccount, audience: "elsewhere"},
		{with: "the service account's token, its signature another's",
			namespace: vault.KubernetesNamespace, account: vault.KubernetesAccount, audience: vault.KubernetesAudience, change: resigned},
		{with: "garbage",
			namespace: vault.KubernetesNamespace, account: vault.KubernetesAccount, audience: vault.KubernetesAudience,
			change: func(string) string { return "garbage" }},
	} {
		token, err := k.api.Token(ctx, try.namespace, try.account, try.audience)
		if err != nil {
			return nil, err
		}
		if try.change != nil {
			token = harness.Secret(try.change(token.Reveal()))
		}
		login, err := k.login.Enter(ctx, token)
		if err != nil {
			return nil, fmt.Errorf("with %s: %w", try.with, err)
		}
		login.With, login.Control = try.with, len(logins) == 0
		logins = append(logins, login)
	}
	return logins, nil
}

// resigned is a token with the letters of its signature in another order.
func resigned(token string) string {
	body, signature := token[:strings.LastIndex(token, ".")+1], []byte(token[strings.LastIndex(token, ".")+1:])
	for i := range len(signature) / 2 {
		signature[i], signature[len(signature)-1-i] = signature[len(signature)-1-i], signature[i]
	}
	return body + string(signature)
}
