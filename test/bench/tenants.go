package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// Tenants of the benchmark, how often kubectl is run in each place, and how many requests are sent besides.
const (
	tenantCount, tenantNamespaces = 100, 20
	kubectlRuns, requestRuns      = 150, 3000
	manyGroups                    = 250
)

// tenants compares a hub of 100 organizations with 20 namespaces each with a hub of none, and people of few groups with people
// of many. Runs alternate, so that whatever else the machine does is done to both.
func (b *bench) tenants(ctx context.Context) error {
	b.progress("tenants: two hubs")
	empty, err := b.newWorld(ctx, 0)
	defer empty.close()
	if err != nil {
		return err
	}
	full, err := b.newWorld(ctx, 0)
	defer full.close()
	if err != nil {
		return err
	}
	b.progress("%d organizations of %d namespaces", tenantCount, tenantNamespaces)
	began := time.Now()
	if err := full.hub.makeTenants(ctx, b.clients); err != nil {
		return err
	}
	took := time.Since(began)
	if err := empty.hub.makePlace(ctx); err != nil {
		return err
	}
	for _, w := range []*world{empty, full} {
		if _, _, err := quiet(ctx, w.hubPID()); err != nil {
			return err
		}
	}
	few := []string{"tenant-7-developers", "tenant-7-members", "everybody"}
	many := slices.Clone(few)
	for i := len(few); i < manyGroups; i++ {
		many = append(many, fmt.Sprintf("other-group-of-the-provider-%d", i))
	}
	alone, err := empty.person(ctx, "ann", few)
	if err != nil {
		return err
	}
	among, err := full.person(ctx, "ann", few)
	if err != nil {
		return err
	}
	popular, err := full.person(ctx, "bob", many)
	if err != nil {
		return err
	}
	times, err := b.alternate(ctx, alone, among, popular)
	if err != nil {
		return err
	}
	b.report.add(row{Group: "tenants", Name: fmt.Sprintf("%d organizations × %d namespaces: until all have their rights", tenantCount, tenantNamespaces), Value: took.Seconds(), Unit: "s"})
	b.report.add(tenantRows("kubectl get", len(few), times[0].kubectl, times[1].kubectl, times[2].kubectl)...)
	b.report.add(tenantRows("one request", len(few), times[0].request, times[1].request, times[2].request)...)
	return nil
}

// tenantTimes are what the same took one person, each time.
type tenantTimes struct{ kubectl, request []time.Duration }

// tenantRows are about what somebody did alone, among tenants, and among them with many groups.
func tenantRows(what string, few int, alone, among, popular []time.Duration) (rows []row) {
	ms := func(d []time.Duration, share float64) float64 { return quantile(d, share).Seconds() * 1000 }
	for _, q := range []struct {
		name  string
		share float64
	}{{"median", 0.5}, {"p99", 0.99}} {
		rows = append(rows,
			row{Group: "tenants", Name: what + ", a hub without tenants: " + q.name, Value: ms(alone, q.share), Unit: "ms"},
			row{Group: "tenants", Name: what + ", among them: " + q.name, Value: ms(among, q.share) / ms(alone, q.share), Unit: "×", Target: 1.2},
			row{Group: "tenants", Name: fmt.Sprintf("%s, a user of %d groups against one of %d: %s", what, manyGroups, few, q.name), Value: ms(popular, q.share) / ms(among, q.share), Unit: "×", Target: 1.2},
		)
	}
	return rows
}

// alternate has each person do the same in turn.
func (b *bench) alternate(ctx context.Context, people ...*server) ([]tenantTimes, error) {
	const path = "/api/v1/namespaces/tenant-7-0/configmaps"
	kubectl, request := make([][]time.Duration, len(people)), make([][]time.Duration, len(people))
	for i := range kubectlRuns + 3 { // the first ones fill kubectl's cache of what the hub serves
		for j, p := range people {
			began := time.Now()
			if _, err := runHanse(ctx, b.hanse, "kubectl", "--kubeconfig", p.kubeconfig, "--cache-dir", p.kubeconfig+".cache", "get", "configmaps", "-n", "tenant-7-0"); err != nil {
				return nil, err
			}
			if i >= 3 {
				kubectl[j] = append(kubectl[j], time.Since(began))
			}
		}
	}
	for range requestRuns {
		for j, p := range people {
			began := time.Now()
			if err := p.client.Get().AbsPath(path).Do(ctx).Error(); err != nil {
				return nil, err
			}
			request[j] = append(request[j], time.Since(began))
		}
	}
	out := make([]tenantTimes, len(people))
	for j := range people {
		slices.Sort(kubectl[j])
		slices.Sort(request[j])
		out[j] = tenantTimes{kubectl[j], request[j]}
	}
	return out, nil
}

// makeTenants creates the organizations, and two workspaces in each, and returns when every namespace has its five bindings.
func (s *server) makeTenants(ctx context.Context, clients int) error {
	var wg sync.WaitGroup
	slots, errs := make(chan struct{}, clients), make([]error, tenantCount)
	for i := range tenantCount {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = s.makeTenant(ctx, fmt.Sprintf("tenant-%d", i))
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	err := poll(ctx, time.Second, func() (bool, error) { // ten thousand objects: to look more often would be measured, too
		list, err := s.watch.RbacV1().RoleBindings("").List(ctx, metav1.ListOptions{LabelSelector: "hanse.dev/tenancy=true"})
		return err == nil && len(list.Items) == 5*tenantCount*tenantNamespaces, nil
	})
	if err != nil {
		return err
	}
	return s.fill(ctx)
}

func (s *server) makeTenant(ctx context.Context, name string) error {
	var namespaces []string
	for n := range tenantNamespaces {
		namespaces = append(namespaces, fmt.Sprintf("%s-%d", name, n))
	}
	group := func(suffix, role string) map[string]string {
		return map[string]string{"kind": "Group", "name": name + "-" + suffix, "role": role}
	}
	kind := func(kind, name string, spec map[string]any) map[string]any {
		return map[string]any{"apiVersion": "hanse.dev/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec}
	}
	err := s.post(ctx, "/apis/hanse.dev/v1alpha1/organizations", kind("Organization", name, map[string]any{
		"namespaces": namespaces, "members": []any{group("owners", "Owner"), group("admins", "Admin"), group("auditors", "Auditor"), group("members", "Member")},
	}))
	for i := range 2 {
		half := namespaces[i*tenantNamespaces/2 : (i+1)*tenantNamespaces/2]
		err = errors.Join(err, s.post(ctx, "/apis/hanse.dev/v1alpha1/workspaces", kind("Workspace", fmt.Sprintf("%s-%d", name, i), map[string]any{
			"organization": name, "namespaces": map[string]any{"names": half}, "access": []any{group("leads", "Admin"), group("developers", "Edit"), group("guests", "View")},
		})))
	}
	return err
}

// makePlace makes what is measured on a hub without tenants.
func (s *server) makePlace(ctx context.Context) error {
	if err := s.createNamespace(ctx, "tenant-7-0"); err != nil {
		return err
	}
	_, err := s.watch.RbacV1().RoleBindings("tenant-7-0").Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "developers"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "tenant-7-developers"}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return s.fill(ctx)
}

func (s *server) fill(ctx context.Context) error {
	for i := range 20 {
		if _, err := s.watch.CoreV1().ConfigMaps("tenant-7-0").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c-", i)}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// person is somebody with a client certificate, as the hub signs them: impersonation would have each group authorized.
func (w *world) person(ctx context.Context, name string, groups []string) (*server, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name, Organization: groups}}, key)
	if err != nil {
		return nil, err
	}
	csrs := w.hub.watch.CertificatesV1().CertificateSigningRequests()
	csr, err := csrs.Create(ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}), SignerName: certificatesv1.KubeAPIServerClientSignerName,
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Bench"}}
	if _, err := csrs.UpdateApproval(ctx, name, csr, metav1.UpdateOptions{}); err != nil {
		return nil, err
	}
	err = poll(ctx, tick, func() (bool, error) {
		csr, err = csrs.Get(ctx, name, metav1.GetOptions{})
		return err == nil && len(csr.Status.Certificate) > 0, nil
	})
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	file, err := clientcmd.LoadFromFile(w.hubConfig())
	if err != nil {
		return nil, err
	}
	for _, u := range file.AuthInfos {
		u.ClientCertificate, u.ClientKey = "", ""
		u.ClientCertificateData, u.ClientKeyData = csr.Status.Certificate, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})
	}
	path := filepath.Join(w.dir, name+".kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return nil, err
	}
	return newServer(name, path)
}
