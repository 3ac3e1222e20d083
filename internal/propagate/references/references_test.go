package references

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

func read(t testing.TB, manifest string) map[string]any {
	t.Helper()
	var obj map[string]any
	if err := yaml.Unmarshal([]byte(manifest), &obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func said(names []Name) string {
	var all []string
	for _, n := range names {
		all = append(all, strings.TrimSuffix(n.GR.Resource, "s")+" "+n.Namespace+"/"+n.Name)
	}
	return strings.Join(all, ", ")
}

const podSpec = `
  imagePullSecrets: [{name: pull}]
  initContainers:
  - envFrom: [{secretRef: {name: init}}]
  containers:
  - envFrom: [{configMapRef: {name: all}}, {secretRef: {name: many, optional: true}}]
    env:
    - {name: PLAIN, value: x}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: one, key: password}}}
    - {name: COLOR, valueFrom: {configMapKeyRef: {name: color, key: x}}}
  - env: [{name: AGAIN, valueFrom: {secretKeyRef: {name: one, key: user}}}]
  ephemeralContainers:
  - env: [{name: DEBUG, valueFrom: {secretKeyRef: {name: debug, key: x}}}]
  volumes:
  - secret: {secretName: mounted}
  - configMap: {name: file}
  - projected: {sources: [{secret: {name: part}}, {configMap: {name: rest}}, {serviceAccountToken: {path: t}}]}
  - csi: {nodePublishSecretRef: {name: driver}}
  - iscsi: {secretRef: {name: chap}}
  - azureFile: {secretName: share}
  - emptyDir: {}
`

const podNames = "configmap shop/all, configmap shop/color, configmap shop/file, configmap shop/rest, secret shop/chap, secret shop/debug, secret shop/driver, " +
	"secret shop/init, secret shop/many, secret shop/mounted, secret shop/one, secret shop/part, secret shop/pull, secret shop/share"

func indent(spec string, by int) string {
	return strings.ReplaceAll(spec, "\n", "\n"+strings.Repeat(" ", by))
}

// TestOf is what objects of all kinds that are known name.
func TestOf(t *testing.T) {
	const meta = "metadata: {name: x, namespace: shop}\n"
	for name, c := range map[string]struct{ resource, manifest, want string }{
		"a Pod":             {"pods", meta + "spec:" + podSpec, podNames},
		"a PodTemplate":     {"podtemplates", meta + "template:\n  spec:" + indent(podSpec, 2), podNames},
		"a Deployment":      {"deployments.apps", meta + "spec:\n  template:\n    spec:" + indent(podSpec, 4), podNames},
		"a controller":      {"replicationcontrollers", meta + "spec:\n  template:\n    spec:" + indent(podSpec, 4), podNames},
		"a Job":             {"jobs.batch", meta + "spec:\n  template:\n    spec:" + indent(podSpec, 4), podNames},
		"a CronJob":         {"cronjobs.batch", meta + "spec:\n  jobTemplate:\n    spec:\n      template:\n        spec:" + indent(podSpec, 8), podNames},
		"a custom resource": {"rollouts.argoproj.io", meta + "spec:\n  template:\n    spec:" + indent(podSpec, 4), podNames},
		"a ServiceAccount":  {"serviceaccounts", meta + "imagePullSecrets: [{name: pull}]\nsecrets: [{name: token}]", "secret shop/pull, secret shop/token"},
		"an Ingress": {"ingresses.networking.k8s.io", "metadata: {name: x, namespace: shop, annotations: {nginx.ingress.kubernetes.io/auth-secret: users, " +
			"nginx.ingress.kubernetes.io/auth-tls-secret: shop/ca, nginx.ingress.kubernetes.io/proxy-ssl-secret: bank/key}}\nspec: {tls: [{secretName: cert}, {hosts: [a]}]}",
			"secret shop/ca, secret shop/cert, secret shop/users"},
		"a Gateway": {"gateways.gateway.networking.k8s.io", meta + "spec: {listeners: [{tls: {certificateRefs: [{name: cert}, {kind: Secret, name: second}, {name: other, namespace: bank}, " +
			"{group: example.com, kind: Cert, name: x}], frontendValidation: {caCertificateRefs: [{kind: ConfigMap, name: roots}]}}}], backendTLS: {clientCertificateRef: {name: client}}}",
			"configmap shop/roots, secret shop/cert, secret shop/client, secret shop/second"},
		"a BackendTLSPolicy": {"backendtlspolicies.gateway.networking.k8s.io", meta + "spec: {validation: {caCertificateRefs: [{group: '', kind: ConfigMap, name: roots}]}}", "configmap shop/roots"},
		"a ReferenceGrant":   {"referencegrants.gateway.networking.k8s.io", meta + "spec: {from: [{kind: Gateway, namespace: edge}], to: [{kind: Secret, name: cert}, {kind: Secret}]}", "secret shop/cert"},
		"a PersistentVolume": {"persistentvolumes", "metadata: {name: x}\nspec: {csi: {nodeStageSecretRef: {name: disk, namespace: storage}, nodePublishSecretRef: {name: half}}}", "secret storage/disk"},
		"a StorageClass": {"storageclasses.storage.k8s.io", "metadata: {name: x}\nparameters: {csi.storage.k8s.io/provisioner-secret-name: disk, csi.storage.k8s.io/provisioner-secret-namespace: storage, " +
			"csi.storage.k8s.io/node-stage-secret-name: '${pvc.name}', csi.storage.k8s.io/node-stage-secret-namespace: '${pvc.namespace}', type: ssd}", "secret storage/disk"},
		"what names nothing": {"services", meta + "spec: {ports: [{port: 80}]}", ""},
		"a Secret":           {"secrets", meta + "data: {secretName: x}", ""},
		"in no namespace":    {"deployments.apps", "metadata: {name: x}\nspec:\n  template:\n    spec:" + indent(podSpec, 4), ""},
		"nonsense":           {"pods", meta + "spec: {volumes: {secret: x}, containers: [1, [], {env: [null, {valueFrom: 3}], envFrom: {}}], imagePullSecrets: x}", ""},
	} {
		if got := said(Of(schema.ParseGroupResource(c.resource), read(t, c.manifest))); got != c.want {
			t.Errorf("%s names\n%s, want\n%s", name, got, c.want)
		}
	}
}

// FuzzOf reads anything as an object of any kind: whatever is in it, names are of the object's own namespace unless it is in none, each
// once, and no more than there are strings in it.
func FuzzOf(f *testing.F) {
	resources := []string{"pods", "deployments.apps", "cronjobs.batch", "serviceaccounts", "ingresses.networking.k8s.io", "gateways.gateway.networking.k8s.io",
		"persistentvolumes", "storageclasses.storage.k8s.io", "referencegrants.gateway.networking.k8s.io", "widgets.example.com"}
	f.Add(0, []byte(`{"metadata":{"namespace":"shop"},"spec":{"volumes":[{"secret":{"secretName":"a"}}],"imagePullSecrets":[{"name":"b"},{"name":"b"}]}}`))
	f.Add(5, []byte(`{"metadata":{"namespace":"shop"},"spec":{"listeners":[{"tls":{"certificateRefs":[{"name":"a","namespace":"bank"}]}}]}}`))
	f.Add(7, []byte(`{"parameters":{"csi.storage.k8s.io/provisioner-secret-name":"a","csi.storage.k8s.io/provisioner-secret-namespace":"b"}}`))
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		var obj map[string]any
		if json.Unmarshal(body, &obj) != nil {
			return
		}
		gr := schema.ParseGroupResource(resources[uint(which)%uint(len(resources))])
		names := Of(gr, obj)
		namespace := text(obj, "metadata", "namespace")
		clusterScoped := gr.Resource == "persistentvolumes" || gr.Resource == "storageclasses"
		for i, n := range names {
			if !Named(n.GR) || n.Name == "" || n.Namespace == "" || n.Namespace != namespace && !clusterScoped {
				t.Fatalf("%s in %q names %+v", gr, namespace, n)
			}
			if slices.Contains(names[:i], n) {
				t.Fatalf("%+v twice", n)
			}
		}
		if len(names) > strings.Count(string(body), `"`)/2 {
			t.Fatalf("%d names in %d bytes", len(names), len(body))
		}
	})
}

// TestALargeObjectIsReadInOneGo: as many names as fit into an object cost no more each than a few do.
func TestALargeObjectIsReadInOneGo(t *testing.T) {
	var env []any
	for i := range 20_000 {
		env = append(env, map[string]any{"valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": fmt.Sprint("s", i%10_000)}}})
	}
	obj := map[string]any{"metadata": map[string]any{"namespace": "shop"}, "spec": map[string]any{"containers": []any{map[string]any{"env": env}}}}
	before := maps.Clone(obj)
	names := Of(schema.GroupResource{Resource: "pods"}, obj)
	if len(names) != 10_000 || !slices.IsSortedFunc(names, func(a, b Name) int { return strings.Compare(a.Name, b.Name) }) {
		t.Fatalf("%d names, or not in order", len(names))
	}
	if !maps.EqualFunc(before, obj, func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Error("the object was changed")
	}
}
