package e2e

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// rolesForDNS goes through what the roles of Kubernetes let somebody do.
func (f *fed) rolesForDNS(t *testing.T) {
	ns := f.namespace(t, "roles")
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: web, namespace: roles}
spec:
  hosts: [www.roles.example]
  endpoints: [{cluster: aws, addresses: [198.51.100.1]}]
  healthCheck: {protocol: None}`)
	f.hostIs(t, ns, "web", "www.roles.example", true)
	for _, c := range []struct {
		role                         string
		query, writeRoute, writeZone bool
	}{
		{role: "view", query: true},
		{role: "edit", query: true, writeRoute: true},
		{role: "admin", query: true, writeRoute: true},
		{role: "cluster-admin", query: true, writeRoute: true, writeZone: true},
		{role: "nobody"},
	} {
		t.Run(c.role, func(t *testing.T) {
			user := f.as(t, "dns", c.role)
			may := func(what string, want bool, try func(context.Context) error) {
				t.Helper()
				if want { // the hub may take a moment to notice the binding
					eventually(t, soon, try)
				} else if err := try(t.Context()); !apierrors.IsForbidden(err) {
					t.Errorf("%s, which is not allowed: %v", what, err)
				}
			}
			for _, path := range []string{"/hanse/dns/query?name=www.roles.example", "/hanse/dns/about", "/hanse/dns/export?zone=roles.example"} {
				may("GET "+path, c.query, func(ctx context.Context) error {
					_, err := user.Discovery().RESTClient().Get().RequestURI(path).DoRaw(ctx)
					return err
				})
			}
			routes := user.dynamic.Resource(v1alpha1.Resource("globalroutes")).Namespace(ns)
			zones := user.dynamic.Resource(v1alpha1.Resource("dnszones"))
			for what, client := range map[string]dynamic.ResourceInterface{"routes": routes, "zones": zones} {
				may("list "+what, c.query, func(ctx context.Context) error {
					_, err := client.List(ctx, metav1.ListOptions{})
					return err
				})
			}
			dryRun := []string{metav1.DryRunAll}
			create := func(client dynamic.ResourceInterface, manifest string) func(context.Context) error {
				return func(ctx context.Context) error {
					_, err := client.Create(ctx, parseObjects(t, []byte(manifest))[0], metav1.CreateOptions{DryRun: dryRun})
					return err
				}
			}
			may("create a route", c.writeRoute, create(routes, "{apiVersion: hanse.dev/v1alpha1, kind: GlobalRoute, metadata: {name: new, namespace: roles}, "+
				"spec: {hosts: [x.roles.example], endpoints: [{cluster: aws, addresses: [198.51.100.1]}]}}"))
			may("create a zone", c.writeZone, create(zones, "{apiVersion: hanse.dev/v1alpha1, kind: DNSZone, metadata: {name: new}, spec: {domain: new.example}}"))
			may("delete a route", c.writeRoute, func(ctx context.Context) error {
				return routes.Delete(ctx, "web", metav1.DeleteOptions{DryRun: dryRun})
			})
		})
	}
	t.Run("anonymous", func(t *testing.T) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // who it is does not matter here
		t.Cleanup(transport.CloseIdleConnections)
		for _, path := range []string{"/hanse/dns/query?name=www.roles.example", "/hanse/dns/about", "/hanse/dns/export?zone=roles.example", "/apis/hanse.dev/v1alpha1/globalroutes"} {
			r, err := transport.RoundTrip(request(t, f.at.config.Host+path))
			must(t, err)
			r.Body.Close()
			if r.StatusCode != http.StatusUnauthorized && r.StatusCode != http.StatusForbidden {
				t.Errorf("%s answers an anonymous request with %d", path, r.StatusCode)
			}
		}
	})
}

// as reaches the hub as somebody who is bound to a ClusterRole, if there is one; purpose
// tells the users of different tests apart.
func (f *fed) as(t *testing.T, purpose, role string) *clients {
	t.Helper()
	user := purpose + "-" + role
	_, err := f.at.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}, metav1.CreateOptions{})
	must(t, err)
	cfg := rest.CopyConfig(f.at.config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user}
	c, err := newClients(user, cfg, nil)
	must(t, err)
	return c
}
